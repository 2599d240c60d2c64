# Units whose order is also among their settings, as NixOS computes those: the order of ours is found out without infinite recursion.
{
  config,
  lib,
  ...
}: {
  options.systemd = lib.genAttrs ["services" "sockets" "targets" "timers"] (_:
    lib.mkOption {
      type = lib.types.attrsOf (lib.types.submodule ({config, ...}: {
        config.unitConfig = lib.concatMapAttrs (setting: units: lib.optionalAttrs (units != []) {${setting} = toString units;}) {
          After = config.after;
          Before = config.before;
          Requires = config.requires;
          Wants = config.wants;
        };
      }));
    });

  config = {
    sops.defaultSopsFile = ../../compat/files/values.yaml;
    sops.age.keyFile = "/run/fetched/key.txt";
    sops.external.units = ["other.service"];
    services.userborn.enable = true;

    sops.secrets.one = {};
    sops.secrets.password = {
      key = "two";
      neededForUsers = true;
    };
    sops.templates.conf = lib.mkIf (lib.any (service: service.unitConfig ? After) (lib.attrValues config.systemd.services)) {
      content = config.sops.placeholder.one;
    };
    systemd.services.fetch-key =
      import ../orders/fetch.nix
      // {
        wantedBy = ["sops-install-secrets.service"];
        unitConfig.Before = "sops-install-secrets.service sops-install-secrets-for-users.service";
      };
    systemd.services.app = {
      after = ["sops-secrets.target"];
      wants = ["other.service"];
    };
  };
}
