# What system-manager itself says of a sops module from its pull request 534 on, in nix/modules/upstream/sops-nix.nix: this has the same
# effects, and `tests/nix/system-manager` compares the two.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkForce mkIf mkOption types;
  inherit (config.sops) secrets useSystemdActivation;
  forUsers = lib.any (secret: secret.neededForUsers) (lib.attrValues secrets);
  snippet = config.system.activationScripts.generate-age-key;
  script = snippet.text or snippet;
  name = mkOption {
    type = types.raw;
    default = "";
  };
in {
  options.system.activationScripts = lib.genAttrs ["generate-age-key" "setupSecrets" "setupSecretsForUsers"] (_: name);

  config = {
    sops.useSystemdActivation = mkDefault true;
    assertions = [
      {
        assertion = secrets == {} || useSystemdActivation;
        message = "system-manager: sops.useSystemdActivation is false";
      }
      {
        assertion = !forUsers || config.services.userborn.enable;
        message = "system-manager: neededForUsers without userborn";
      }
    ];

    systemd.services = {
      sops-install-secrets-for-users = mkIf (forUsers && config.services.userborn.enable) {
        after = ["local-fs.target"];
        before = mkForce ["userborn.service" "sysinit-reactivation.target"];
        requiredBy = ["sysinit-reactivation.target"];
        wantedBy = mkForce ["sysinit.target"];
      };
      sops-generate-age-key = mkIf (secrets != {} && script != "") {
        description = "Generate a machine-specific age key for sops-nix";
        after = ["local-fs.target"];
        before = ["sops-install-secrets.service" "sops-install-secrets-for-users.service" "sysinit-reactivation.target"];
        requiredBy = ["sysinit-reactivation.target"];
        wantedBy = ["sysinit.target"];
        unitConfig.DefaultDependencies = "no";
        serviceConfig = {
          Type = "oneshot";
          ExecStart = pkgs.writeShellScript "sops-generate-age-key" script;
          RemainAfterExit = true;
        };
      };
    };
  };
}
