# The example of docs/secrets-management.md for system-manager.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.sshKeyPaths = ["/etc/ssh/ssh_host_ed25519_key"];
  sops.gnupg.sshKeyPaths = [];
  sops.secrets.one.restartUnits = ["app.service"];

  systemd.services.app = {
    wantedBy = ["system-manager.target"];
    serviceConfig.EnvironmentFile = config.sops.secrets.one.path;
  };
}
