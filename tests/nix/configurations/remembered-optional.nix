# A file system that may be absent is not worth a boot that waits for it.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.useSystemdActivation = true;
  sops.secrets.one.path = "/etc/one";

  fileSystems."/var/lib/sops-activate" = {
    device = "/dev/disk/by-label/state";
    options = ["nofail"];
  };
}
