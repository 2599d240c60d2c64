# Where secrets are, for who needs the whole directory.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  systemd.services.backup.serviceConfig = {
    ExecStart = "/bin/backup";
    InaccessiblePaths = [config.sops.secretsDir config.sops.secretsForUsersDir];
  };
}
