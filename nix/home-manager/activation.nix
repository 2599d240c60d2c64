# The secrets of a user: installed when the user's systemd starts, and when home-manager activates a generation.
{
  config,
  lib,
  pkgs,
  ...
}: let
  sops = config.sops;
  escape = import ../systemd-escape.nix {inherit lib;};
  hardening = import ../hardening.nix {
    inherit lib sops;
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

  # Nothing is declared any more: the same unit clears away what is left.
  clears = sops.secrets == {} && sops.templates == {};

  # A passphrase may have to be asked for, which takes a session with a screen.
  mayAsk = sops.gnupg.home != null;
in {
  config = lib.mkIf (sops.secrets != {} || sops.templates != {} || sops.removeLeftovers) {
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
            Description = "Remove secrets that are no longer declared";
            # Either: a list of what is outside of the store; or a live generation, which a link that dangles is not.
            ConditionPathExistsGlob = [
              "|%S/sops-activate/*.json"
              # What %S stands for since systemd 254, where it is the user's default.
              "|%h/.local/state/sops-activate/*.json"
            ];
            ConditionPathExists = "|${lib.replaceStrings ["%%" "%r"] ["%%" "%t"] sops.defaultSymlinkPath}";
          }
          else {Description = "Install secrets";}
        )
        // (
          if mayAsk
          then {
            # What starts with the session finds its secrets.
            Before = ["graphical-session-pre.target"];
          }
          else {
            # Before all units with default dependencies, as sysinit.target is for the system: that takes having none itself.
            DefaultDependencies = false;
            Before = ["basic.target" "graphical-session-pre.target" "shutdown.target"];
            # Default dependencies would say so: a logout ends an installation that is under way.
            Conflicts = ["shutdown.target"];
          }
        );
      Service =
        hardening.user
        // {
          Type = "oneshot";
          # Units may be ordered after it at any later time without starting it again.
          RemainAfterExit = true;
          Environment = lib.mapAttrsToList (name: value: escape.assignment "${name}=${value}") sops.environment;
          ExecStart = "${install}";
        };
      # With a passphrase to be asked for, the first start fails where nobody can be asked; the session starts it again. A machine
      # without a screen has only the first.
      Install.WantedBy = ["default.target"] ++ lib.optional mayAsk "graphical-session-pre.target";
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
