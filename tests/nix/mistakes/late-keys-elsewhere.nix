# Keys on a disk that may be absent, and on a bind mount of a file system that is mounted as late.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  fileSystems."/stick" = {
    device = "/dev/disk/by-label/stick";
    fsType = "ext4";
    options = ["nofail"];
  };
  fileSystems."/persist" = {
    device = "/dev/disk/by-label/persist";
    fsType = "ext4";
  };
  fileSystems."/etc/keys" = {
    device = "/persist/keys";
    fsType = "none";
    options = ["bind"];
  };
  sops.age.keyFile = "/stick/key.txt";
  sops.age.sshKeyPaths = ["/etc/keys/host"];
  sops.secrets.one = {};
}
