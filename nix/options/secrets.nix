# `sops.secrets`: which values to install, and how.
{userMode}: {
  config,
  lib,
  options,
  ...
}: let
  inherit (lib) literalExpression mkOption optionalAttrs types;
  sops = config.sops;
  # Of a system alone.
  accounts = import ../nixos/accounts.nix {inherit config lib options;};

  secret = types.submodule (
    {
      config,
      name,
      ...
    }: {
      options =
        {
          name = mkOption {
            type = types.str;
            default = name;
            description =
              if userMode
              then "Name of the file below {option}`sops.defaultSymlinkPath`. It may hold slashes."
              else "Name of the file below `/run/secrets` (or `/run/secrets-for-users`). It may hold slashes.";
          };
          key = mkOption {
            type = types.str;
            default =
              if sops.defaultSopsKey != null
              then sops.defaultSopsKey
              else name;
            defaultText = literalExpression "if config.sops.defaultSopsKey != null then config.sops.defaultSopsKey else <name>";
            example = "database/password";
            description = ''
              Where the value stands in the sops file. Slashes lead into nested structures.

              An empty key means the whole file. The formats `binary`, `dotenv` and `ini` always give the whole file.
            '';
          };
          path = mkOption {
            type = types.str;
            default =
              if userMode
              then "${sops.defaultSymlinkPath}/${config.name}"
              else if config.neededForUsers
              then "/run/secrets-for-users/${config.name}"
              else "/run/secrets/${config.name}";
            defaultText = literalExpression (
              if userMode
              then ''"''${config.sops.defaultSymlinkPath}/''${name}"''
              else ''if neededForUsers then "/run/secrets-for-users/''${name}" else "/run/secrets/''${name}"''
            );
            description =
              ''
                Where the secret is to be found. Any other path than the default becomes a symbolic link to the default.
              ''
              + lib.optionalString userMode ''

                `%r` stands for `$XDG_RUNTIME_DIR`, and `%%` for a percent sign.
              '';
          };
          format = mkOption {
            type = types.enum ["yaml" "json" "binary" "dotenv" "ini"];
            default = sops.defaultSopsFormat;
            defaultText = literalExpression "config.sops.defaultSopsFormat";
            description = "Format of the sops file.";
          };
          mode = mkOption {
            type = types.str;
            default = "0400";
            description = "Permissions of the file, in octal.";
          };
          sopsFile = mkOption {
            type = types.path;
            default = sops.defaultSopsFile;
            defaultText = literalExpression "config.sops.defaultSopsFile";
            example = literalExpression "./secrets/database.yaml";
            description = "The sops file that holds the secret.";
          };
          extractKey = mkOption {
            type = types.nullOr types.str;
            default = null;
            example = "API_KEY";
            description = ''
              Which value of a `dotenv` or `ini` file to install, in an `ini` file as `section/key`. With `null` the whole file is
              installed, as {option}`sops.secrets.<name>.key` counts for nothing there.
            '';
          };
        }
        // import ./installed-file.nix {
          inherit lib userMode;
          noun = "secret";
          trimmed = ''
            Remove one line end at the end of the value. Whole files have one, and so do values in YAML after `|`; many programs take it
            for a part of the secret.
          '';
        }
        // optionalAttrs (!userMode) (
          {
            sopsFileHash = mkOption {
              type = types.str;
              readOnly = true;
              default = lib.optionalString sops.validateSopsFiles "${builtins.hashFile "sha256" config.sopsFile}";
              defaultText = literalExpression ''builtins.hashFile "sha256" sopsFile'';
              description = ''
                SHA-256 of the sops file, for {option}`systemd.services.<name>.restartTriggers`. Empty where
                {option}`sops.validateSopsFiles` is off.
              '';
            };
            neededForUsers = mkOption {
              type = types.bool;
              default = false;
              description = ''
                Install the secret below `/run/secrets-for-users` before users and groups are made, as a password file for
                {option}`users.users.<name>.hashedPasswordFile`. No user exists at that time, so it always belongs to root.
              '';
            };
            credentialFor = import ./credential-for.nix {
              inherit lib;
              noun = "secret";
              called = "that of the secret";
              example = ''
                sops.secrets."api/key".credentialFor = [ "api.service" ];
                systemd.services.api.environment.API_KEY_FILE = "%d/api-key";'';
            };
          }
          // import ./ownership.nix {
            inherit config lib;
            inherit (accounts) groupOf;
            noun = "secret";
            nameType = types.str;
          }
        );
    }
  );
in {
  options.sops.secrets = mkOption {
    type = types.attrsOf secret;
    default = {};
    example = literalExpression ''
      {
        "database/password" = {
          owner = "postgres";
          restartUnits = [ "postgresql.service" ];
        };
      }
    '';
    description =
      if userMode
      then "Secrets to install. They are there before the user's other units start."
      else ''
        Secrets to install.

        They are there before any service starts, unless it is ordered before `sysinit.target` itself. Such a unit can be ordered
        `after` `sops-secrets.target`, however secrets are installed: with `wants` it starts with whatever secrets there are, with
        `requires` only when none is missing.
      '';
  };
}
