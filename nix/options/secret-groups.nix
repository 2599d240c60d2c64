# `sops.secretGroups`: secrets of one file that have all else in common, too.
{userMode}: {
  config,
  lib,
  ...
}: let
  inherit (lib) literalExpression mkDefault mkIf mkOption optionalAttrs types;
  sops = config.sops;

  # `null` leaves it to the secret's own default.
  field = type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      description = "${description} With `null`, the default of {option}`sops.secrets`.";
    };
  units = which:
    mkOption {
      type = types.listOf types.str;
      default = [];
      description = "As {option}`sops.secrets.<name>.${which}`.";
    };

  group = types.submodule {
    options =
      {
        keys = mkOption {
          type = types.listOf types.str;
          # A list without one has this default in newer nixpkgs only.
          default = [];
          example = ["user" "password"];
          description = "Keys in the sops file. Each makes a secret, called like it.";
        };
        prefix = mkOption {
          type = types.str;
          default = "";
          example = "db-";
          description = "What the names of the secrets start with, before the key. A slash at its end makes a directory.";
        };
        keyPrefix = mkOption {
          type = types.str;
          default = "";
          example = "production/database/";
          description = "What stands before each key in the sops file, for keys that lie together in a nested structure.";
        };
        sopsFile = field types.path "The sops file of the secrets.";
        format = field (types.enum ["yaml" "json" "dotenv" "ini"]) "Format of the sops file.";
        mode = field types.str "Permissions of the files, in octal.";
        restartUserUnits = units "restartUserUnits";
      }
      // optionalAttrs (!userMode) {
        owner = field types.str "The user that the files belong to.";
        group = field types.str "The group that the files belong to.";
        restartUnits = units "restartUnits";
        reloadUnits = units "reloadUnits";
      };
  };

  secret = group: key: {
    name = "${group.prefix}${key}";
    value =
      # Files of these formats are whole secrets, unless one of their values is asked for in words of its own.
      (
        if
          lib.elem (
            if group.format != null
            then group.format
            else sops.defaultSopsFormat
          ) ["dotenv" "ini"]
        then {extractKey = mkDefault "${group.keyPrefix}${key}";}
        else {key = mkDefault "${group.keyPrefix}${key}";}
      )
      // lib.mapAttrs (_: value: mkIf (value != null && value != []) (mkDefault value))
      (removeAttrs group ["keys" "prefix" "keyPrefix" "_module"]);
  };
in {
  options.sops.secretGroups = mkOption {
    type = types.attrsOf group;
    default = {};
    example = literalExpression ''
      {
        database = {
          sopsFile = ./secrets/database.yaml;
          prefix = "database/";
          keys = [ "user" "password" ];
          owner = "app";
          restartUnits = [ "app.service" ];
        };
      }
    '';
    description = ''
      Secrets of one sops file, declared together: each key becomes the secret `<prefix><key>`, with what is said of the group as its
      defaults. One of them can be given fields of its own in {option}`sops.secrets`. The name of the group means nothing.
    '';
  };

  config.sops.secrets = lib.mkMerge (
    map (group: lib.listToAttrs (map (secret group) group.keys)) (lib.attrValues sops.secretGroups)
  );
}
