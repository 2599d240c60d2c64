# As late-mount, from the activation script.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  fileSystems."/persist" = {
    device = "/dev/disk/by-label/persist";
    fsType = "ext4";
    neededForBoot = true;
  };
  sops.age.keyFile = "/persist/key.txt";
  sops.secrets.one = {};
}
