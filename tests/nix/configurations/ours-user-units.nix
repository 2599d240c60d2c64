# Units of users, with and without a suffix.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.restartUserUnits = ["mpd" "backup.timer"];
  sops.templates.conf = {
    content = config.sops.placeholder.one;
    restartUserUnits = ["mpd.service"];
  };
}
