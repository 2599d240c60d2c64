# A key that is made on the machine, before the units of a system without classic accounts.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.age.keyFile = "/var/lib/sops nix/it's a key.txt";
  sops.age.generateKey = true;
  sops.age.sshKeyPaths = [];
  sops.gnupg.sshKeyPaths = [];
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
  services.userborn.enable = true;
}
