# Secrets and templates as credentials of services.
{
  config,
  lib,
  ...
}: let
  inherit (import ./credential-services.nix {inherit config lib;}) loads;
in {
  # Part of the type of a service, rather than definitions of services: so a misspelt name makes no service, and which services there are
  # does not depend on secrets and templates, which may themselves be made for those. Their settings do, so this has to be asked for: in a
  # configuration that does not, as any for sops-nix, templates may follow from settings as well.
  options.systemd.services = lib.mkOption {
    type = lib.types.attrsOf (lib.types.submodule ({name, ...}: {
      options.serviceConfig = lib.mkOption {
        apply = settings:
          if config.sops.credentials.enable
          then settings // {LoadCredential = lib.toList (settings.LoadCredential or []) ++ loads.${name} or [];}
          else settings;
      };
    }));
  };
}
