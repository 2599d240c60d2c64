# Which file system a path is on, as far as the configuration tells, and when that one is there.
{
  config,
  lib,
}: let
  # system-manager leaves the file systems to the distribution.
  fileSystems = lib.attrValues (config.fileSystems or {});

  isBelow = import ../is-below.nix {inherit lib;};
  length = fileSystem: lib.stringLength fileSystem.mountPoint;
  longer = a: b:
    if a == null || length b > length a
    then b
    else a;
in rec {
  inherit isBelow;
  all = fileSystems;
  # The file systems that have to be mounted for a path to be reached.
  above = path: lib.filter (fileSystem: isBelow fileSystem.mountPoint (toString path)) fileSystems;

  # The target of a path that is a link which NixOS makes in /etc.
  resolved = path: let
    etc = config.environment.etc or {};
    parts = lib.splitString "/" (lib.removePrefix "/etc/" path);
    prefixes = lib.genList (n: lib.concatStringsSep "/" (lib.take (n + 1) parts)) (lib.length parts);
    link = lib.findFirst (prefix: etc ? ${prefix}) null prefixes;
    source = toString (etc.${link}.source or "");
  in
    if lib.hasPrefix "/etc/" path && link != null && lib.hasPrefix "/" source && !lib.hasPrefix builtins.storeDir source
    then source + lib.removePrefix "/etc/${link}" path
    else path;

  # The file system with the longest mount point, or null.
  of = path: lib.foldl' longer null (lib.filter (fileSystem: isBelow fileSystem.mountPoint (toString path)) fileSystems);

  # There before systemd starts, and before activation scripts run. NixOS mounts these paths in the initrd unasked.
  isEarly = fileSystem:
    fileSystem.neededForBoot
    or false
    || lib.elem fileSystem.mountPoint ["/" "/nix" "/nix/store" "/var" "/var/log" "/var/lib" "/var/lib/nixos" "/etc" "/usr"];

  # Mounted by systemd only once the network is up, which is after sysinit.target; waiting for it before that would be a cycle. The
  # types are those that systemd counts among network file systems.
  isRemote = fileSystem:
    lib.elem "_netdev" (fileSystem.options or [])
    || lib.elem (lib.removePrefix "fuse." (fileSystem.fsType or "auto")) [
      "afs"
      "ceph"
      "cifs"
      "davfs"
      "gfs"
      "gfs2"
      "glusterfs"
      "lustre"
      "ncp"
      "ncpfs"
      "nfs"
      "nfs4"
      "ocfs2"
      "pvfs2"
      "smb3"
      "smbfs"
      "sshfs"
    ];

  # Its absence is no failure, or it is mounted by hand.
  isOptional = fileSystem: lib.any (option: lib.elem option (fileSystem.options or [])) ["nofail" "noauto"];

  # As far as is known: what is below /run is there from the start, and in no `fileSystems`.
  inMemory = path:
    lib.any (directory: isBelow directory path) ["/run" "/dev/shm"]
    || of path != null && lib.elem ((of path).fsType or "auto") ["tmpfs" "ramfs"];

  onOptional = path: of path != null && isOptional (of path);
  onRemote = path: of path != null && isRemote (of path);
  onLate = path: of path != null && !isEarly (of path);
}
