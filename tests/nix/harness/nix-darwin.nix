# The part of nix-darwin that a secrets module reads or writes.
{lib, ...}: let
  list = lib.mkOption {
    type = lib.types.listOf lib.types.unspecified;
    default = [];
  };
  free = lib.mkOption {
    type = lib.types.attrsOf lib.types.unspecified;
    default = {};
  };
in {
  options = {
    assertions = list;
    warnings = list;
    environment.etc = free;
    launchd.daemons = free;
    system = free;
  };
}
