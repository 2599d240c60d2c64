# Secrets and templates as credentials of services.
{
  config,
  lib,
  ...
}: let
  inherit (import ./credential-services.nix {inherit config lib;}) loads;
in {
  # Part of the type of a service, not definitions of services: so a typo in a name makes no service, and the set of services does not
  # depend on secrets and templates, which may in turn depend on it. The settings of services do depend on them, so an option turns this
  # on: without it, as with sops-nix, templates may depend on settings, too.
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
