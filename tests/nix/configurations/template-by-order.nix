# Templates for the services that come after the installer, for what needs a mount, and for what comes before a target.
{
  config,
  lib,
  ...
}: {
  imports = [../orders/base.nix];
  fileSystems."/persist" = {
    device = "/dev/sdb";
    fsType = "ext4";
  };
  systemd.services.app = {
    after = ["sops-install-secrets.service"];
    wantedBy = ["multi-user.target"];
  };
  systemd.services.backup.unitConfig.RequiresMountsFor = "/persist";
  sops.templates = let
    named = suffix: lib.mapAttrs' (name: _: lib.nameValuePair "${name}.${suffix}" {content = config.sops.placeholder.one;});
  in
    named "after" (lib.filterAttrs (_: service: lib.elem "multi-user.target" service.wantedBy && lib.elem "sops-install-secrets.service" service.after) config.systemd.services)
    // named "mounts" (lib.filterAttrs (_: service: lib.elem "/persist" (lib.toList (service.unitConfig.RequiresMountsFor or []))) config.systemd.services)
    // named "first" (lib.filterAttrs (_: target: lib.elem "basic.target" target.before) config.systemd.targets);
}
