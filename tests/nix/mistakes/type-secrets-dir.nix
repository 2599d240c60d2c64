# A directory that cannot be moved.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secretsDir = "/run/elsewhere";
  sops.secrets.one = {};
  systemd.services.backup.serviceConfig.ExecStart = "/bin/backup ${config.sops.secretsDir}";
}
