# A key that is made on the machine, by the activation script; its path has to be quoted.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.age.keyFile = "/var/lib/sops nix/it's a key.txt";
  sops.age.generateKey = true;
  sops.age.sshKeyPaths = [];
  sops.gnupg.sshKeyPaths = [];
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
}
