# A unit that restarts when the file changes.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  systemd.services.web.restartTriggers = [config.sops.secrets.one.sopsFileHash];
}
