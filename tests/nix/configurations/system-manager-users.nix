# A key that is made, and a secret for users: what system-manager has words of its own for.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.userborn.enable = true;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.age.generateKey = true;
  sops.age.sshKeyPaths = [];
  sops.gnupg.sshKeyPaths = [];
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
}
