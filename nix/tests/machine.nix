# What the machines of all tests have in common: the module, a file of secrets, and the host key that opens it.
{
  config,
  lib,
  ...
}: let
  sops = config.sops;
  secrets = lib.attrValues sops.secrets;
  forUsers = lib.any (secret: secret.neededForUsers) secrets;
  regular = lib.any (secret: !secret.neededForUsers) secrets || sops.templates != {};
  usersByUnit = config.systemd.sysusers.enable || config.services.userborn.enable;
in {
  imports = [../nixos];

  services.openssh.enable = true;
  sops.defaultSopsFile = ../../tests/fixtures/sample/secrets.yaml;

  # The machine has had its host key since it was installed: it is there before secrets are installed, by script or unit. It is a
  # throw-away key of the tests.
  system.activationScripts = lib.mkMerge [
    {
      host-key.text = ''
        install -D -m 0600 ${../../tests/fixtures/keys/sample_host_ed25519} /etc/ssh/ssh_host_ed25519_key
      '';
    }
    (lib.mkIf (regular && !sops.useSystemdActivation) {setupSecrets.deps = ["host-key"];})
    (lib.mkIf (forUsers && !(sops.useSystemdActivation && usersByUnit)) {setupSecretsForUsers.deps = ["host-key"];})
  ];
}
