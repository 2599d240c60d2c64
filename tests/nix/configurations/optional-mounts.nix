# Links on file systems that may be absent, and on one that needs the network: the boot does not wait for them.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  fileSystems."/media/stick" = {
    device = "/dev/disk/by-label/stick";
    fsType = "ext4";
    options = ["nofail"];
  };
  fileSystems."/by-hand" = {
    device = "/dev/disk/by-label/by-hand";
    fsType = "ext4";
    options = ["noauto"];
  };
  sops.useSystemdActivation = true;
  sops.secrets.one.path = "/media/stick/one";
  sops.secrets.two.path = "/by-hand/two";
  sops.secrets.three.path = "/var/lib/three";
}
