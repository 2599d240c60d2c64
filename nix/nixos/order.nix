# The order of the units that install secrets, as far as this configuration decides it.
{
  config,
  lib,
}: let
  inherit (import ../unit-words.nix {inherit lib;}) isNo words;
  inherit (import ../unit-name.nix {inherit lib;}) suffixOf;
  escape = import ../systemd-escape.nix {inherit lib;};
  mounts = import ./mounts.nix {inherit config lib;};
  systemd = config.systemd;

  # systemd's own units without default dependencies that finish before sysinit.target, so an installer can wait for them. A unit that
  # is not in this list counts as late, and the installer then runs as late as with sops-nix.
  early = [
    "blk-availability.service"
    "cryptsetup-pre.target"
    "cryptsetup.target"
    "dev-hugepages.mount"
    "initrd-root-fs.target"
    "initrd-switch-root.target"
    "integritysetup-pre.target"
    "integritysetup.target"
    "kmod-static-nodes.service"
    "ldconfig.service"
    "local-fs-pre.target"
    "local-fs.target"
    "lvm2-activation-early.service"
    "lvm2-activation.service"
    "lvm2-monitor.service"
    "swap.target"
    "systemd-ask-password-console.path"
    "systemd-ask-password-wall.path"
    "systemd-binfmt.service"
    "systemd-boot-random-seed.service"
    "systemd-firstboot.service"
    "systemd-fsck-root.service"
    "systemd-hwdb-update.service"
    "systemd-journal-flush.service"
    "systemd-journald-audit.socket"
    "systemd-journald-dev-log.socket"
    "systemd-journald.service"
    "systemd-journald.socket"
    "systemd-machine-id-commit.service"
    "systemd-modules-load.service"
    "systemd-pcrmachine.service"
    "systemd-pcrphase-sysinit.service"
    "systemd-pstore.service"
    "systemd-random-seed.service"
    "systemd-remount-fs.service"
    "systemd-repart.service"
    "systemd-resolved.service"
    "systemd-sysctl.service"
    "systemd-sysext.service"
    "systemd-confext.service"
    "systemd-sysusers.service"
    "systemd-timesyncd.service"
    "systemd-tmpfiles-setup-dev-early.service"
    "systemd-tmpfiles-setup-dev.service"
    "systemd-tmpfiles-setup.service"
    "systemd-tpm2-setup-early.service"
    "systemd-tpm2-setup.service"
    "systemd-udev-settle.service"
    "systemd-udev-trigger.service"
    "systemd-udevd-control.socket"
    "systemd-udevd-kernel.socket"
    "systemd-udevd.service"
    "systemd-update-done.service"
    "systemd-vconsole-setup.service"
    "tpm2.target"
    "userborn.service"
    "veritysetup-pre.target"
    "veritysetup.target"
  ];
  earlyInstances = ["modprobe@" "systemd-backlight@" "systemd-cryptsetup@" "systemd-fsck@" "systemd-growfs@" "systemd-integritysetup@" "systemd-veritysetup@"];
  isEarly = name: lib.elem name early || lib.any (prefix: lib.hasPrefix prefix name) earlyInstances;

  # Late targets of systemd that NixOS declares as well.
  lateTargets = [
    "basic.target"
    "default.target"
    "getty.target"
    "graphical.target"
    "machines.target"
    "multi-user.target"
    "network-online.target"
    "network-pre.target"
    "network.target"
    "nss-lookup.target"
    "nss-user-lookup.target"
    "paths.target"
    "printer.target"
    "remote-fs-pre.target"
    "remote-fs.target"
    "rescue.target"
    "sockets.target"
    "sysinit.target"
    "time-set.target"
    "time-sync.target"
    "timers.target"
  ];

  described = kind: unit: let
    raw = unit.unitConfig or {};
    also = attribute: setting: unit.${attribute} or [] ++ words (raw.${setting} or []);
  in {
    after = also "after" "After";
    before = also "before" "Before";
    members = lib.optionals (kind == "target") (also "wants" "Wants" ++ also "requires" "Requires");
    memberOf = unit.wantedBy or [] ++ unit.requiredBy or [];
    mountsFor = words (raw.RequiresMountsFor or []) ++ words (raw.WantsMountsFor or []);
    defaultDependencies = !isNo (raw.DefaultDependencies or true);
  };
  declared = kind: set:
    lib.mapAttrs' (stem: unit: let
      name = "${stem}.${kind}";
      own = described kind unit;
    in
      lib.nameValuePair name (
        own
        // {
          defaultDependencies = !isEarly name && own.defaultDependencies;
          late =
            if isEarly name
            then false
            else if kind == "target"
            then lib.elem name lateTargets
            else own.defaultDependencies;
          triggers =
            lib.optional (kind == "socket") (unit.socketConfig.Service or "${stem}.service")
            ++ lib.optional (kind == "path") (unit.pathConfig.Unit or "${stem}.service")
            ++ lib.optional (kind == "timer") (unit.timerConfig.Unit or "${stem}.service");
        }
      ))
    set;

  # A file system's `x-systemd.…` options, as systemd's generator reads them.
  option = fileSystem: name: let
    prefix = "x-systemd.${name}=";
  in
    map (lib.removePrefix prefix) (lib.filter (lib.hasPrefix prefix) (fileSystem.options or []));
  unitOf = name:
    if lib.hasPrefix "/" name
    then escape.mountUnit name
    else name;
  fileSystems = lib.listToAttrs (map (fileSystem:
    lib.nameValuePair (escape.mountUnit fileSystem.mountPoint) {
      after = map unitOf (option fileSystem "after" ++ option fileSystem "requires");
      before = map unitOf (option fileSystem "before");
      mountsFor = option fileSystem "requires-mounts-for" ++ map toString (fileSystem.depends or []);
      late = mounts.isRemote fileSystem;
    })
  mounts.all);
  # systemd.mounts and systemd.automounts are lists.
  mountUnits = lib.listToAttrs (map (unit:
    lib.nameValuePair (escape.mountUnit unit.where) (
      described "mount" unit
      // {
        late = mounts.isRemote {
          options = lib.splitString "," (toString (unit.options or ""));
          fsType = unit.type or "auto";
        };
      }
    )) (systemd.mounts or []));

  units =
    fileSystems
    // mountUnits
    // declared "target" (systemd.targets or {})
    // declared "socket" (systemd.sockets or {})
    // declared "path" (systemd.paths or {})
    // declared "timer" (systemd.timers or {})
    // declared "service" (systemd.services or {});
  mountsOf = path: map (fileSystem: escape.mountUnit fileSystem.mountPoint) (mounts.above path) ++ map (unit: escape.mountUnit unit.where) (lib.filter (unit: mounts.isBelow unit.where path) (systemd.mounts or []));
  lateByName = name: !isEarly name && !lib.elem (suffixOf name) ["automount" "device" "mount" "scope" "slice" "swap"];

  # Our units whose order depends on this result.
  ignored = ["sops-install-secrets-for-users.service" "sops-secrets.target"];
  # A unit after one of these may come after secrets.
  installers = ["sops-generate-age-key.service" "sops-install-secrets.service" "sops-secrets.target"];
in {
  # The late units that keep one of ours from coming before sysinit.target. `ours` has the predecessors of our units: the merged units also
  # have `before`, which depends on this result.
  lateBefore = ours: name:
    (import ../ordering.nix {
      inherit ignored lateByName lib mountsOf;
      units = units // lib.mapAttrs (_: unit: unit // {late = false;}) ours;
    })
    .lateBefore
    name;
  # The same for units that precede the creation of users. Device nodes come after the users, and mounts after device nodes, except the
  # initrd's mounts.
  lateBeforeUsers = ours: name: let
    earlyMounts = map (fileSystem: escape.mountUnit fileSystem.mountPoint) (lib.filter mounts.isEarly mounts.all);
    early = earlyMounts ++ ["kmod-static-nodes.service" "systemd-journald.service" "systemd-journald.socket" "systemd-modules-load.service" "systemd-remount-fs.service"];
    # Declared units without default dependencies are as early as their predecessors.
    isDeclared = name: !isEarly name && lib.any (suffix: lib.hasSuffix suffix name) [".service" ".socket" ".path" ".timer" ".target"];
  in
    (import ../ordering.nix {
      inherit ignored lib mountsOf;
      lateByName = name: !lib.elem name early;
      units =
        lib.mapAttrs (name: unit: unit // lib.optionalAttrs (!isDeclared name) {late = !lib.elem name early;}) units
        // lib.mapAttrs (_: unit: unit // {late = false;}) ours;
    })
    .lateBefore
    name;

  # Whether local-fs.target waits for a secret, so that the installer must not wait for local-fs.target: a secret opens a local file
  # system, or a unit before local-fs.target comes after the installer.
  localFileSystemsNeed = paths: let
    local = lib.filter (fileSystem: !mounts.isRemote fileSystem && !mounts.isOptional fileSystem) mounts.all;
    texts =
      lib.concatMap (fileSystem: [(toString (fileSystem.device or "")) (toString (fileSystem.encrypted.keyFile or ""))] ++ fileSystem.options or []) local
      ++ lib.optional (config.environment.etc or {} ? crypttab) (toString (config.environment.etc.crypttab.text or ""));
    named = lib.any (text: lib.any (path: lib.hasInfix path text) (["/run/secrets"] ++ paths)) texts;
    ordered =
      (import ../ordering.nix {
        inherit ignored lateByName lib mountsOf;
        units =
          units
          # The search ends here. Only `before` is read, because `unitConfig` depends on this result.
          // lib.genAttrs installers (name: {
            before = systemd.services.${lib.removeSuffix ".service" name}.before or [];
            late = true;
          })
          // {"local-fs.target" = {after = map (fileSystem: escape.mountUnit fileSystem.mountPoint) local;};};
      })
      .before "local-fs.target";
  in
    named || lib.any (name: lib.elem name installers) ordered;
}
