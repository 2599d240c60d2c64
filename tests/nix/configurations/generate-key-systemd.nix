# A key that is made on the machine, before a unit.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.age.keyFile = "/var/lib/sops nix/it's a key.txt";
  sops.age.generateKey = true;
  sops.age.sshKeyPaths = [];
  sops.gnupg.sshKeyPaths = [];
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
  sops.useSystemdActivation = true;
}
