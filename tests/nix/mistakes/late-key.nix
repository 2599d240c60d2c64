# A key on a file system that is mounted after the activation script.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  fileSystems."/persist" = {
    device = "/dev/disk/by-label/persist";
    fsType = "ext4";
  };
  sops.age.keyFile = "/persist/key.txt";
  sops.secrets.one = {};
}
