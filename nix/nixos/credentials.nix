# Secrets and templates as credentials of services.
{
  config,
  lib,
  ...
}: let
  inherit (import ./credential-services.nix {inherit config lib;}) loads;
in {
  # Part of the type of a service, rather than definitions of services: so a misspelt name makes no service, and which services and
  # settings there are does not depend on secrets and templates, which may themselves be made for those. For that the attribute is there in
  # every service; its value alone follows from `credentialFor` and `name`, and an empty list is no line in a unit.
  options.systemd.services = lib.mkOption {
    type = lib.types.attrsOf (lib.types.submodule ({name, ...}: {
      options.serviceConfig = lib.mkOption {
        apply = settings: settings // {LoadCredential = lib.toList (settings.LoadCredential or []) ++ loads.${name} or [];};
      };
    }));
  };
}
