# A template for each of some services, called like it.
{
  config,
  lib,
  ...
}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  systemd.services.app.script = "app";
  sops.secrets.one = {};
  sops.templates =
    lib.mapAttrs (name: _: {content = "${name} ${config.sops.placeholder.one}";})
    (lib.filterAttrs (name: _: lib.hasPrefix "app" name) config.systemd.services);
}
