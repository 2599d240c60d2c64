# `sops.templates` and `sops.placeholder`: files that are written around secrets.
{userMode}: {
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) literalExpression mkOption optionalAttrs types;
  sops = config.sops;
  users = config.users.users or {};

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
              else "/run/secrets/rendered/${config.name}";
            defaultText = literalExpression (
              if userMode
              then ''"''${config.xdg.configHome}/sops-nix/secrets/rendered/''${name}"''
              else ''"/run/secrets/rendered/''${name}"''
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
              Text of the file. {option}`sops.placeholder` has the text that stands for each secret.
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
        }
        // optionalAttrs (!userMode) (import ./ownership.nix {
          inherit config lib users;
          noun = "rendered file";
          nameType = types.singleLineStr;
        });
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
  };

  # The program knows a placeholder by what the manifest says; the form is fixed all the same, so that a generated text stays
  # the same wherever it is made. Only with templates: the manifests of others stay small.
  config.sops.placeholder = lib.mkIf (sops.templates != {}) (
    lib.mapAttrs
    (name: _: lib.mkDefault "<SOPS:${builtins.hashString "sha256" name}:PLACEHOLDER>")
    sops.secrets
  );
}
