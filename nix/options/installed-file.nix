# What a secret and a template have in common everywhere: how the file comes to its path, what is done to its bytes, and which units
# of users have to know of a new value. Whom it belongs to is in ownership.nix: only a system has that.
{
  lib,
  userMode,
  # What the file is called in a sentence.
  noun,
  # What `trimTrailingNewline` does to it.
  trimmed,
}: let
  inherit (lib) mkOption types;
in {
  installMode = mkOption {
    type = types.enum ["symlink" "copy"];
    default = "symlink";
    description = ''
      What stands at a `path` of its own: a symbolic link, or a real file for programs that refuse a link.

      A copy is removed when it is no longer asked for, as a link is. On a disk it outlives the machine's memory: it is in the file
      system's journal and in backups, and removing it wipes nothing. Give it a path below `/run` where that will do.
    '';
  };
  trimTrailingNewline = mkOption {
    type = types.bool;
    default = false;
    description = trimmed;
  };
  restartUserUnits = mkOption {
    type = types.listOf types.str;
    default = [];
    example = ["mpd.service"];
    description =
      if userMode
      then ''
        Units of the user to restart when the ${noun} changes, if they run. A name without a suffix is a service.
      ''
      else ''
        Units to restart when the ${noun} changes, in the service manager of every user who is logged in or lingers and runs them. A
        name without a suffix is a service. What a user's manager answers fails nothing.
      '';
  };
}
