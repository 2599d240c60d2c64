# `sops.templates` and `sops.placeholder`: files that are written around secrets.
{userMode}: {
  config,
  lib,
  options,
  pkgs,
  ...
}: let
  inherit (lib) literalExpression mkOption optionalAttrs types;
  sops = config.sops;
  # Of a system alone.
  accounts = import ../nixos/accounts.nix {inherit config lib options;};

  template = types.submodule (
    {
      config,
      name,
      ...
    }: {
      options =
        {
          name = mkOption {
            type = types.singleLineStr;
            default = name;
            description = "Name of the file among the rendered templates.";
          };
          path = mkOption {
            type = types.singleLineStr;
            # The subdirectory's name is the program's: `RENDERED` in src/plan.rs.
            default =
              if userMode
              then "${userSymlinkPath}/rendered/${config.name}"
              else if config.neededForUsers
              then "/run/secrets-for-users/rendered/${config.name}"
              else "/run/secrets/rendered/${config.name}";
            defaultText = literalExpression (
              if userMode
              then ''"''${config.xdg.configHome}/sops-nix/secrets/rendered/''${name}"''
              else ''if neededForUsers then "/run/secrets-for-users/rendered/''${name}" else "/run/secrets/rendered/''${name}"''
            );
            description = "Where the rendered file is to be found. Any other path than the default becomes a symbolic link.";
          };
          content = mkOption {
            type = types.lines;
            default = "";
            example = literalExpression ''
              '''
                DATABASE_URL=postgres://app:''${config.sops.placeholder."database/password"}@localhost/app
              '''
            '';
            description = ''
              Text of the file. {option}`sops.placeholder` has the text that stands for each secret as it is,
              {option}`sops.placeholderJson` and {option}`sops.placeholderShell` for each secret with quotes around it.
            '';
          };
          mode = mkOption {
            type = types.singleLineStr;
            default = "0400";
            description = "Permissions of the rendered file, in octal.";
          };
          file = mkOption {
            type = types.path;
            default = pkgs.writeText config.name config.content;
            defaultText = literalExpression "pkgs.writeText name content";
            example = literalExpression "./app.conf";
            description = "A file to be used as the template where `content` is empty.";
          };
          namedMarkers = mkOption {
            type = types.bool;
            default = false;
            description = ''
              In a `file`, let `{{ sops "name" }}` stand for the secret that is installed under that name, `{{ sops-json "name" }}` and
              `{{ sops-shell "name" }}` for the same with quotes around it. A marker of a secret that is not there fails the build.
            '';
          };
        }
        // import ./installed-file.nix {
          inherit lib userMode;
          noun = "rendered file";
          trimmed = "Remove one line end at the end of each secret that is inserted.";
        }
        // optionalAttrs (!userMode) (
          {
            neededForUsers = mkOption {
              type = types.bool;
              default = false;
              description = ''
                Render the file below `/run/secrets-for-users/rendered` before users and groups are made. It can hold secrets with
                {option}`sops.secrets.<name>.neededForUsers` and no others, and always belongs to root.
              '';
            };
            credentialFor = import ./credential-for.nix {
              inherit lib;
              noun = "rendered file";
              called = "that of the template";
              example = ''
                sops.templates."api.toml".credentialFor = [ "api.service" ];
                systemd.services.api.serviceConfig.ExecStart = "''${pkgs.api}/bin/api --config %d/api.toml";'';
            };
          }
          // import ./ownership.nix {
            inherit config lib;
            inherit (accounts) groupOf;
            noun = "rendered file";
            nameType = types.singleLineStr;
          }
        );
    }
  );

  # Not `sops.defaultSymlinkPath`: the default of a template's path never followed it, and programs have it in their settings.
  userSymlinkPath = "${config.xdg.configHome}/sops-nix/secrets";

  convertibleToString = types.mkOptionType {
    name = "coercibleToString";
    description = "value that can be coerced to string";
    check = lib.strings.isConvertibleWithToString;
    merge = lib.mergeEqualOption;
  };

  # Not in the manifest: the program makes the same text of the name that a secret is installed under.
  quoted = form: forWhat:
    mkOption {
      type = types.attrsOf types.str;
      readOnly = true;
      default = lib.mapAttrs (_: secret: "<SOPS:${builtins.hashString "sha256" secret.name}:${form}>") sops.secrets;
      defaultText = literalExpression "{ <secret> = <text>; }";
      description = forWhat;
    };
in {
  options.sops = {
    templates = mkOption {
      type = types.attrsOf template;
      default = {};
      description = "Files to render: text with secrets in it.";
    };
    placeholder = mkOption {
      type = types.attrsOf convertibleToString;
      default = {};
      visible = false;
      description = "By the name of a secret: the text in a template that the secret's bytes will replace.";
    };
    placeholderJson = quoted "JSON" ''
      By the name of a secret: the text in a template that will be replaced by the secret as a string of JSON, quotes included. YAML and
      TOML read it as well. The secret has to be UTF-8.
    '';
    placeholderShell = quoted "SHELL" ''
      By the name of a secret: the text in a template that will be replaced by the secret as one word of a POSIX shell, in single quotes.
    '';
  };

  # The program knows a placeholder by what the manifest says; the form is fixed all the same, so that a generated text stays
  # the same wherever it is made. Only with templates: the manifests of others stay small.
  config.sops.placeholder = lib.mkIf (sops.templates != {}) (
    lib.mapAttrs
    (name: _: lib.mkDefault "<SOPS:${builtins.hashString "sha256" name}:PLACEHOLDER>")
    sops.secrets
  );
}
