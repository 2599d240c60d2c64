# The nix-darwin module. It installs nothing. It lets a flake with a Mac use sops-activate for its servers under the name of sops-nix: it
# accepts all definitions for sops-nix's module and gives its options values, so that evaluation gets as far as the assertion.
{
  config,
  lib,
  ...
}: let
  inherit (lib) genAttrs mkOption mkOptionType types;

  any = mkOptionType {
    name = "any";
    description = "anything";
    merge = _: definitions: (lib.last definitions).value;
  };
  some = default:
    mkOption {
      inherit default;
      type = any;
    };
  file = directory:
    types.attrsOf (types.submodule ({name, ...}: {
      freeformType = types.attrsOf any;
      options =
        genAttrs ["content" "file" "format" "gid" "group" "key" "mode" "owner" "sopsFile" "sopsFileHash" "uid"] (_: some null)
        // {
          name = some name;
          path = some "${directory}/${name}";
          neededForUsers = some false;
        };
    }));
  group = options:
    mkOption {
      default = {};
      type = types.submodule {
        inherit options;
        freeformType = types.attrsOf any;
      };
    };
in
  import ../class.nix lib "darwin"
  // {
    options.sops = group (
      genAttrs ["defaultSopsFile" "package" "validationPackage"] (_: some null)
      // {
        secrets = mkOption {
          default = {};
          type = file "/run/secrets";
        };
        templates = mkOption {
          default = {};
          type = file "/run/secrets/rendered";
        };
        placeholder = some (lib.mapAttrs (name: _: name) config.sops.secrets);
        environment = some {};
        defaultSopsFormat = some "yaml";
        validateSopsFiles = some true;
        keepGenerations = some 1;
        log = some [];
        age = group {
          keyFile = some null;
          generateKey = some false;
          sshKeyPaths = some [];
          plugins = some [];
        };
        gnupg = group {
          home = some null;
          package = some null;
          sshKeyPaths = some [];
        };
      }
    );

    config.assertions = [
      {
        assertion = config.sops.secrets == {} && config.sops.templates == {};
        message = ''
          sops-activate installs secrets on Linux only. Keep sops-nix as a second input, for Macs:
            inputs.sops-nix-darwin.url = "github:Mic92/sops-nix";
          and import its module in place of this one:
            imports = [ inputs.sops-nix-darwin.darwinModules.sops ];
        '';
      }
    ];
  }
