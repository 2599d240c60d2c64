# The order that system-manager adds to the unit for users is a cycle at boot, where something waits for local-fs-pre.target.
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
