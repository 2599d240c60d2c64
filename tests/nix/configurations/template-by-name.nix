# A template for every service, called like it.
{
  config,
  lib,
  ...
}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  systemd.services.app.script = "app";
  sops.secrets.one = {};
  sops.templates = lib.mapAttrs (name: _: {content = "${name} ${config.sops.placeholder.one}";}) config.systemd.services;
}
