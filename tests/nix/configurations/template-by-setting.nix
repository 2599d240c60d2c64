# A template for every service that runs as another user.
{
  config,
  lib,
  ...
}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  systemd.services.app.serviceConfig.User = "app";
  systemd.services.other.script = "other";
  sops.secrets.one = {};
  sops.templates =
    lib.mapAttrs' (name: _: lib.nameValuePair "${name}.env" {content = config.sops.placeholder.one;})
    (lib.filterAttrs (_: service: service.serviceConfig ? User) config.systemd.services);
}
