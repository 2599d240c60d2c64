# Secrets and templates as credentials of services.
{
  config,
  lib,
  ...
}: let
  inherit
    (import ./credential-services.nix {
      inherit config lib;
      unknownUnits = import ./unknown-units.nix {inherit config lib;};
    })
    loads
    ;
in {
  # Which services there are follows from `credentialFor` and `name` alone, so the rest of a secret may be taken from a service, as an
  # owner often is.
  systemd.services = lib.mapAttrs (_: loads: {serviceConfig.LoadCredential = loads;}) loads;
}
