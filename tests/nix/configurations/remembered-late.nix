# What the program remembers is on a file system of its own, as where the root is empty at boot: the unit comes after it.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.useSystemdActivation = true;
  sops.secrets.one.path = "/etc/one";

  fileSystems."/var/lib/sops-activate" = {
    device = "/persist/sops-activate";
    options = ["bind"];
  };
}
