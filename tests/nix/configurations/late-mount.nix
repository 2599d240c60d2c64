# A host key on a disk that is mounted early enough, and a path of one's own on one that is not.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  fileSystems."/persist" = {
    device = "/dev/disk/by-label/persist";
    fsType = "ext4";
    neededForBoot = true;
  };
  fileSystems."/srv" = {
    device = "/dev/disk/by-label/srv";
    fsType = "ext4";
  };
  sops.useSystemdActivation = true;
  sops.age.keyFile = "/persist/key.txt";
  sops.secrets.one.path = "/srv/one";
}
