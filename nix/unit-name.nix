# Names of units as people write them.
{lib}: rec {
  suffixes = ["service" "socket" "device" "mount" "automount" "swap" "target" "path" "timer" "slice" "scope"];
  # Without its dot, or an empty string.
  suffixOf = name: let
    found = builtins.match ".*\\.(${lib.concatStringsSep "|" suffixes})" name;
  in
    if found == null
    then ""
    else lib.head found;
  stem = name: lib.removeSuffix ".${suffixOf name}" name;
  # `nginx` means `nginx.service`, as it does to systemctl. A path stands for a mount or a device.
  unitName = name:
    if suffixOf name != "" || lib.replaceStrings ["/"] [""] name != name
    then name
    else "${name}.service";
}
