# Templates made for what the settings of services say, credentials among them.
{
  config,
  lib,
  ...
}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  systemd.services.app.serviceConfig.LoadCredential = ["conf:/run/secrets/rendered/app.conf"];
  systemd.services.plain.serviceConfig.User = "nobody";
  sops.templates =
    lib.mapAttrs' (name: _: lib.nameValuePair "${name}.conf" {content = config.sops.placeholder.one;})
    (lib.filterAttrs (_: service: service.serviceConfig ? LoadCredential && lib.hasInfix "/run/secrets" (builtins.toJSON service.serviceConfig))
      config.systemd.services);
}
