# The order of the user's units around the one that installs secrets, as far as this configuration decides it.
{
  config,
  lib,
  # Whether the installer has default dependencies. Then only the session is late.
  isOrdinary,
  # The configuration's own `After=` of sops-secrets.target.
  afterTarget,
}: let
  inherit (import ../unit-words.nix {inherit lib;}) isNo words;
  inherit (import ../unit-name.nix {inherit lib;}) suffixOf;
  user = config.systemd.user;

  # In a user's manager, basic.target comes after sockets, timers and paths.
  isEarlyKind = name: lib.elem (suffixOf name) ["device" "mount" "path" "scope" "slice" "socket" "timer"];
  # systemd's own targets that are early as well.
  earlyTargets = ["bluetooth.target" "paths.target" "printer.target" "shutdown.target" "smartcard.target" "sockets.target" "timers.target"];
  lateTargets = lib.optional (!isOrdinary) "basic.target" ++ ["default.target" "graphical-session-pre.target" "graphical-session.target" "tray.target" "xdg-desktop-autostart.target"];

  declared = kind: set:
    lib.mapAttrs' (stem: unit: let
      name = "${stem}.${kind}";
      all = section: setting: words (unit.${section}.${setting} or []);
      defaultDependencies = !isNo (unit.Unit.DefaultDependencies or true);
    in
      lib.nameValuePair name {
        inherit defaultDependencies;
        after = all "Unit" "After";
        before = all "Unit" "Before";
        members = lib.optionals (kind == "target") (all "Unit" "Wants" ++ all "Unit" "Requires");
        memberOf = all "Install" "WantedBy" ++ all "Install" "RequiredBy";
        triggers =
          lib.optional (kind == "socket") (unit.Socket.Service or "${stem}.service")
          ++ lib.optional (kind == "path") (unit.Path.Unit or "${stem}.service")
          ++ lib.optional (kind == "timer") (unit.Timer.Unit or "${stem}.service");
        late =
          if kind == "target"
          then lib.elem name lateTargets
          else kind == "service" && defaultDependencies && !isOrdinary;
      })
    set;
in
  import ../ordering.nix {
    inherit lib;
    units =
      declared "target" (user.targets or {})
      // declared "socket" (user.sockets or {})
      // declared "path" (user.paths or {})
      // declared "timer" (user.timers or {})
      // declared "service" (user.services or {})
      // {
        "sops-nix.service" = (declared "service" {inherit (user.services) sops-nix;})."sops-nix.service" // {late = false;};
        "sops-secrets.target" = {
          after = ["sops-nix.service"] ++ afterTarget;
          defaultDependencies = false;
          late = false;
        };
      };
    lateByName = name: !isEarlyKind name && !lib.elem name (earlyTargets ++ lib.optional isOrdinary "basic.target");
    # Its order depends on this result.
    ignored = ["sops-secrets.target"];
  }
