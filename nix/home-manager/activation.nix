# The secrets of a user: installed when the user's systemd starts, and when home-manager activates a generation.
{
  config,
  lib,
  options,
  pkgs,
  ...
}: let
  sops = config.sops;
  escape = import ../systemd-escape.nix {inherit lib;};
  order = import ./order.nix {
    inherit config lib;
    afterTarget = lib.concatMap lib.toList ((definitions options.systemd.user.targets "sops-secrets").values ["Unit" "After"]);
    isOrdinary = mayAsk;
  };
  inherit (import ../unit-words.nix {inherit lib;}) isYes;
  definitions = option:
    import ../definitions.nix {
      inherit lib option;
      module = ./.;
    };
  definitionsOf = definitions options.systemd.user.services;
  hardening = import ../hardening.nix {
    inherit definitionsOf lib sops;
    inherited = config.systemd.user.sessionVariables // config.home.sessionVariables;
  };

  manifest = import ../manifest.nix {inherit lib pkgs sops;} {
    name = "manifest";
    inherit (sops) secrets templates validationPackage;
    placement = {
      secretsMountPoint = sops.defaultSecretsMountPoint;
      symlinkPath = sops.defaultSymlinkPath;
      userMode = true;
    };
  };

  install = pkgs.writeShellScript "sops-nix-user" ''
    set -e
    ${lib.optionalString sops.age.generateKey ''
      PATH=${lib.makeBinPath [pkgs.age pkgs.coreutils]} ${pkgs.runtimeShell} ${../generate-age-key.sh} ${lib.escapeShellArg sops.age.keyFile}
    ''}
    exec ${sops.package}/bin/sops-install-secrets -ignore-passwd ${manifest}
  '';

  # A list of ours beside what the configuration says of the same setting: lists add up, and one text is refused beside a list.
  besides = setting: ours: let
    theirs = (definitionsOf "sops-nix").values ["Unit" setting];
  in
    if lib.all lib.isList theirs
    then ours
    else lib.mkOverride 60 (ours ++ lib.concatMap lib.toList theirs);

  # Nothing is declared any more: the same unit removes the files, links and copies of earlier generations.
  clears = sops.secrets == {};

  # A passphrase may have to be asked for, which takes a session with a screen.
  mayAsk = sops.gnupg.home != null;

  # Whether the secrets can come before the user's other units: nothing that comes before them comes after basic.target, and the
  # configuration does not make the unit one like any other.
  late = order.lateBefore "sops-secrets.target";
  isOrdinary = lib.any isYes ((definitionsOf "sops-nix").values ["Unit" "DefaultDependencies"]);
  isEarly = late == [] && !isOrdinary;
  # A configuration may have the unit started by something else, such as a session.
  startedBy = lib.toList (config.systemd.user.services.sops-nix.Install.WantedBy or []);
in {
  config = lib.mkIf (sops.secrets != {} || sops.removeLeftovers) {
    sops.environment = {
      SOPS_GPG_EXEC = lib.mkMerge [
        (lib.mkIf (sops.gnupg.home != null || sops.gnupg.sshKeyPaths != []) (lib.mkDefault "${sops.gnupg.package}/bin/gpg"))
        (lib.mkIf sops.gnupg.qubes-split-gpg.enable (lib.mkDefault config.home.sessionVariables.SOPS_GPG_EXEC))
      ];
      QUBES_GPG_DOMAIN = lib.mkIf sops.gnupg.qubes-split-gpg.enable (lib.mkDefault sops.gnupg.qubes-split-gpg.domain);
      # Only for plugins: an empty PATH would hide the wrapper of Qubes, which is known by its bare name.
      PATH = lib.mkIf (sops.age.plugins != []) (lib.makeBinPath sops.age.plugins);
    };

    home.sessionVariables = lib.mkIf sops.gnupg.qubes-split-gpg.enable {
      # Qubes OS brings it; it is not in nixpkgs.
      SOPS_GPG_EXEC = "qubes-gpg-client-wrapper";
    };

    systemd.user.services.sops-nix = {
      Unit =
        (
          if clears
          then {
            Description = lib.mkDefault "Remove secrets that are no longer declared";
            # Either: a list of what is outside of the store; or a live generation, which a link that dangles is not.
            ConditionPathExistsGlob = [
              "|%S/sops-activate/*.json"
              # What %S stands for since systemd 254, where it is the user's default.
              "|%h/.local/state/sops-activate/*.json"
            ];
            ConditionPathExists = "|${lib.replaceStrings ["%%" "%r"] ["%%" "%t"] sops.defaultSymlinkPath}";
          }
          else {Description = lib.mkDefault "Install secrets";}
        )
        // lib.optionalAttrs (!mayAsk) {
          # Default dependencies would put it after basic.target. The order before that is in sops-secrets.target.
          DefaultDependencies = lib.mkDefault false;
          # As default dependencies would: a logout stops a running installation.
          Before = besides "Before" ["shutdown.target"];
          Conflicts = besides "Conflicts" ["shutdown.target"];
        };
      Service =
        hardening.user "sops-nix"
        // {
          Type = lib.mkDefault "oneshot";
          # Units may be ordered after it at any later time without starting it again.
          RemainAfterExit = lib.mkDefault true;
          Environment = lib.mapAttrsToList (name: value: escape.assignment "${name}=${value}") sops.environment;
          ExecStart = "${install}";
        };
      # With a passphrase to be asked for, the first start fails where nobody can be asked; the session starts it again. A machine
      # without a screen has only the first.
      Install.WantedBy = ["default.target"] ++ lib.optional mayAsk "graphical-session-pre.target";
    };

    # The target to wait for, as on the system. It also has the order: units that start with the manager find their secrets; or, where a
    # passphrase prompt is possible, units that start with the session. If a late unit precedes the secrets, an order here would close a
    # cycle, and systemd would delete one of the jobs.
    systemd.user.targets.sops-secrets = lib.mkIf (!clears) {
      Unit = {
        Description = lib.mkDefault "Secrets Installed";
        DefaultDependencies = lib.mkDefault false;
        Requires = ["sops-nix.service"];
        After = ["sops-nix.service"];
        Conflicts = ["shutdown.target"];
        Before =
          ["shutdown.target"]
          ++ lib.optional (isEarly && !mayAsk) "basic.target"
          ++ lib.optional isEarly "graphical-session-pre.target";
      };
      Install.WantedBy = startedBy;
    };

    # Handles cycles with units that the evaluation cannot see. No unit comes after this one, so it is in no cycle itself.
    systemd.user.services.sops-check-secrets = lib.mkIf (!clears) {
      Unit = {
        Description = lib.mkDefault "Check that secrets were installed";
        DefaultDependencies = lib.mkDefault false;
        After = ["basic.target" "sops-nix.service" "sops-secrets.target"];
        Before = ["shutdown.target"];
        Conflicts = ["shutdown.target"];
      };
      Service =
        hardening.user "sops-check-secrets"
        // {
          Type = lib.mkDefault "oneshot";
          RemainAfterExit = lib.mkDefault true;
          ExecStart = "${pkgs.runtimeShell} ${../check-secrets.sh} ${config.systemd.user.systemctlPath} --user sops-nix.service sops-secrets.target";
        };
      Install.WantedBy = lib.filter (target: target == "default.target") startedBy;
    };

    warnings = lib.optional (late != [] && !isOrdinary) ''
      sops-nix.service cannot come before the other units of the user, because it comes after
      ${lib.concatStringsSep ", " late}. Units that start with the user's manager may find no secrets yet.
      Order those that need secrets after sops-secrets.target, and say that this is meant:
        systemd.user.services.sops-nix.Unit.DefaultDependencies = true;
    '';

    # sops-nix defines it on Linux, too, where home-manager does nothing with it; configurations ask for its presence.
    launchd.agents = lib.optionalAttrs (options ? launchd.agents) {
      sops-nix = {
        enable = lib.mkDefault false;
        config.Program = lib.mkDefault "${install}";
      };
    };

    home.activation.sops-nix = {
      before = [];
      # The unit that is started has to be the new one.
      after = ["writeBoundary" "linkGeneration" "reloadSystemd"];
      data = let
        systemctl = config.systemd.user.systemctlPath;
        coreutils = "${pkgs.coreutils}/bin";
        variables = lib.concatStringsSep " " (lib.mapAttrsToList (name: value: lib.escapeShellArg "${name}=${value}") sops.environment);
      in ''
        (
          # A system that activates for its users has no session of theirs, but knows where it would be.
          export XDG_RUNTIME_DIR="''${XDG_RUNTIME_DIR:-/run/user/$(${coreutils}/id -u)}"
          state=$(${systemctl} --user is-system-running 2>/dev/null || true)
          case "$state" in
            running | degraded)
              ''${DRY_RUN_CMD:-} ${systemctl} --user restart sops-nix.service
              ;;
            initializing | starting | maintenance | stopping)
              echo "The systemd of this user is $state: it installs the secrets when it starts."
              ;;
            *)
              if [[ -d $XDG_RUNTIME_DIR ]]; then
                # A container, or another place without systemd.
                ''${DRY_RUN_CMD:-} ${coreutils}/env ${variables} ${install}
              else
                echo "The systemd of this user is not running: it installs the secrets when it starts."
              fi
              ;;
          esac
        )
      '';
    };
  };
}
