# Units that surely do not exist. A unit may also come from a package, a generator or systemd itself, and whoever names one of those is
# not to be bothered; so this is silent wherever there is doubt.
{
  config,
  lib,
}: let
  inherit (import ../unit-name.nix {inherit lib;}) stem suffixOf unitName;
  systemd = config.systemd;

  # Other kinds are rarely restarted, and often made by generators.
  sets = {
    service = "services";
    socket = "sockets";
    timer = "timers";
    path = "paths";
  };
  # Attribute sets, because every name is looked up in them.
  aliases = lib.mapAttrs (_: set: toSet (lib.concatMap (unit: unit.aliases or []) (lib.attrValues (systemd.${set} or {})))) sets;
  external = toSet (map unitName config.sops.external.units);
  upstream = toSet (systemd.additionalUpstreamSystemUnits or []);
  packages = map lib.getName (systemd.packages or []);
  toSet = names: lib.genAttrs names (_: null);

  # Not lib.hasInfix, which compiles a regular expression for each name.
  contains = part: text: lib.replaceStrings [part] [""] text != text;

  # Many files name the same few units.
  named = map builtins.unsafeDiscardStringContext (lib.concatMap (file: file.restartUnits ++ file.reloadUnits) (lib.attrValues config.sops.secrets ++ lib.attrValues config.sops.templates));
  unknown = lib.mapAttrs (name: _: let
    unit = unitName name;
  in
    lib.optional (surelyUnknown unit) unit) (lib.groupBy lib.id named);

  surelyUnknown = unit: sets ? ${suffixOf unit} && !(declared unit || elsewhere unit);

  # Units in sops.external.units, or possibly defined by a package or file that the configuration only names.
  elsewhere = unit: isExternal unit || fromSystemd unit || fromPackage unit || fromQuadlet;

  isExternal = unit: external ? ${unit} || external ? "${template unit}.${suffixOf unit}";

  declared = unit: let
    units = systemd.${sets.${suffixOf unit}} or {};
    known = aliases.${suffixOf unit};
  in
    units
    ? ${stem unit}
    || units ? ${template unit}
    || (systemd.units or {}) ? ${unit}
    || known ? ${unit}
    || known ? "${template unit}.${suffixOf unit}";

  # foo@bar.service is an instance of foo@.service.
  template = unit: let
    parts = lib.splitString "@" (stem unit);
  in
    if lib.length parts > 1
    then "${lib.head parts}@"
    else stem unit;

  fromSystemd = unit: lib.hasPrefix "systemd-" unit || upstream ? ${unit};

  # A package is likely to bring units that are called like itself; a look into it would have to build it.
  fromPackage = unit: let
    name = lib.head (lib.splitString "@" (stem unit));
  in
    lib.any (package: contains package name || contains name package) packages;

  # Podman makes services from files in /etc/containers/systemd.
  fromQuadlet = lib.any (lib.hasPrefix "containers/systemd/") (lib.attrNames (config.environment.etc or {}));
in {
  # The unknown units that a secret or template names.
  among = names: lib.unique (lib.concatMap (name: unknown.${builtins.unsafeDiscardStringContext name}) names);
}
