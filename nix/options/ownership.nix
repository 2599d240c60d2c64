# What a secret and a template have in common on a system: whom the file belongs to, and which units have to know of a new value.
# Only NixOS has these: in user mode every file belongs to the user, and there is no system manager to talk to.
{
  lib,
  # What the file is called in a sentence.
  noun,
  # The type of a name; it differs between secrets and templates, as it always has.
  nameType,
  # The default group of an owner.
  groupOf,
  # The configuration of this very file.
  config,
}: let
  inherit (lib) literalMD mkOption types;
in {
  owner = mkOption {
    type = types.nullOr nameType;
    default = null;
    example = "nginx";
    description = ''
      The user that the ${noun} belongs to, by name.

      With `null` the user ID in `uid` counts. An owner and a `uid` other than 0 exclude each other. A user that is not in
      {option}`users.users` has to be in {option}`sops.external.users`.
    '';
  };
  uid = mkOption {
    type = types.nullOr types.int;
    default = 0;
    description = ''
      The user that the ${noun} belongs to, by number. It counts only where `owner` is `null`, and no user of that number need exist.
    '';
  };
  group = mkOption {
    type = types.nullOr nameType;
    default =
      if config.owner != null
      then groupOf config.owner
      else null;
    defaultText = literalMD "{option}`config.users.users.\${owner}.group`, or `null` for an owner in {option}`sops.external.users`";
    example = "nginx";
    description = ''
      The group that the ${noun} belongs to, by name.

      With `null` the group ID in `gid` counts. A group and a `gid` other than 0 exclude each other. A group that is not in
      {option}`users.groups` has to be in {option}`sops.external.groups`.
    '';
  };
  gid = mkOption {
    type = types.nullOr types.int;
    default = 0;
    description = ''
      The group that the ${noun} belongs to, by number. It counts only where `group` is `null`, and no group of that number need exist.
    '';
  };
  restartUnits = mkOption {
    type = types.listOf types.str;
    default = [];
    example = ["nginx.service"];
    description = ''
      Units to restart when the ${noun} changes: its bytes, its owner, its group or its mode. A name without a suffix is a service.
    '';
  };
  reloadUnits = mkOption {
    type = types.listOf types.str;
    default = [];
    example = ["nginx.service"];
    description = ''
      Units to reload when the ${noun} changes: its bytes, its owner, its group or its mode. A unit that cannot reload is restarted.
      A name without a suffix is a service.
    '';
  };
}
