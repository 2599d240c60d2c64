# A template for every service that has a variable.
{
  config,
  lib,
  ...
}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  systemd.services.app.environment.WANTS_TOKEN = "yes";
  systemd.services.other.environment.NEEDS_NOTHING = "yes";
  sops.secrets.one = {};
  sops.templates =
    lib.mapAttrs' (name: _: lib.nameValuePair "${name}.env" {content = config.sops.placeholder.one;})
    (lib.filterAttrs (_: service: service.environment ? WANTS_TOKEN) config.systemd.services);
}
