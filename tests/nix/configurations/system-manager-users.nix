# A key that is made, and a secret for users: what system-manager has words of its own for.
{lib, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.userborn.enable = true;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.age.generateKey = true;
  sops.age.sshKeyPaths = [];
  sops.gnupg.sshKeyPaths = [];
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;

  # As the guide has it.
  systemd.services.sops-install-secrets-for-users.after = lib.mkForce ["sops-generate-age-key.service"];
}
