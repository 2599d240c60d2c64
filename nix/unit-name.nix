# Names of units as people write them.
{lib}: rec {
  suffixes = ["service" "socket" "device" "mount" "automount" "swap" "target" "path" "timer" "slice" "scope"];
  suffixOf = name: lib.last (lib.splitString "." name);
  hasSuffix = name: lib.hasInfix "." name && lib.elem (suffixOf name) suffixes;
  # `nginx` means `nginx.service`, as it does to systemctl. A path stands for a mount or a device.
  unitName = name:
    if hasSuffix name || lib.hasInfix "/" name
    then name
    else "${name}.service";
}
