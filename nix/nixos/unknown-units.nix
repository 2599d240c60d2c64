# Units that surely do not exist. A unit may also come from a package, a generator or systemd itself, and whoever names one of those is
# not to be bothered; so this is silent wherever there is doubt.
{
  config,
  lib,
}: let
  inherit (import ../unit-name.nix {inherit lib;}) suffixOf unitName;
  systemd = config.systemd;

  # Other kinds are rarely restarted, and often made by generators.
  sets = {
    service = "services";
    socket = "sockets";
    timer = "timers";
    path = "paths";
  };
in rec {
  stem = unit: lib.removeSuffix ".${suffixOf unit}" unit;
  set = unit: sets.${suffixOf unit};

  among = names: lib.filter surelyUnknown (lib.unique (map unitName names));

  surelyUnknown = unit: sets ? ${suffixOf unit} && !(declared unit || fromSystemd unit || fromPackage unit || fromQuadlet);

  declared = unit: let
    units = systemd.${set unit} or {};
    aliases = lib.concatMap (unit: unit.aliases or []) (lib.attrValues units);
  in
    units
    ? ${stem unit}
    || units ? ${template unit}
    || (systemd.units or {}) ? ${unit}
    || lib.elem unit aliases
    || lib.elem "${template unit}.${suffixOf unit}" aliases;

  # foo@bar.service is an instance of foo@.service.
  template = unit: let
    parts = lib.splitString "@" (stem unit);
  in
    if lib.length parts > 1
    then "${lib.head parts}@"
    else stem unit;

  fromSystemd = unit: lib.hasPrefix "systemd-" unit || lib.elem unit (systemd.additionalUpstreamSystemUnits or []);

  # A package is likely to bring units that are called like itself; a look into it would have to build it.
  fromPackage = unit: let
    name = lib.head (lib.splitString "@" (stem unit));
    alike = package: let
      packageName = lib.getName package;
    in
      lib.hasInfix packageName name || lib.hasInfix name packageName;
  in
    lib.any alike (systemd.packages or []);

  # Podman makes services from files in /etc/containers/systemd.
  fromQuadlet = lib.any (lib.hasPrefix "containers/systemd/") (lib.attrNames (config.environment.etc or {}));
}
