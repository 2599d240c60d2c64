# What the regular secrets and those needed for users have in common: a manifest, the program, and a unit or a script that runs it.
{
  config,
  lib,
  options,
  pkgs,
}: let
  sops = config.sops;
  machine = import ./machine.nix {inherit config lib options;};
  mounts = import ./mounts.nix {inherit config lib;};
  accounts = import ./accounts.nix {inherit config lib options;};
  escape = import ../systemd-escape.nix {inherit lib;};
  hardening = import ../hardening.nix {inherit lib sops;};
  program = "${sops.package}/bin/sops-install-secrets";
  generator = {
    path = [pkgs.age pkgs.coreutils];
    command = "${pkgs.runtimeShell} ${../generate-age-key.sh}";
  };
in rec {
  inherit generator hardening machine;

  needed = sops.secrets != {} || sops.templates != {};
  regularSecrets = lib.filterAttrs (_: secret: !secret.neededForUsers) sops.secrets;
  secretsForUsers = lib.filterAttrs (_: secret: secret.neededForUsers) sops.secrets;
  regularTemplates = lib.filterAttrs (_: template: !template.neededForUsers) sops.templates;
  templatesForUsers = lib.filterAttrs (_: template: template.neededForUsers) sops.templates;

  # What is installed by which means. One option decides for both; only where users are made by an activation script, nothing but
  # another script can come before it.
  units = {
    regular = anyRegular && sops.useSystemdActivation;
    forUsers = anyForUsers && sops.useSystemdActivation && (machine.usersByUnit || machine.unitsOnly);
  };
  scripts = {
    regular = anyRegular && !units.regular;
    forUsers = anyForUsers && !units.forUsers;
  };
  anyRegular = regularSecrets != {} || regularTemplates != {};
  anyForUsers = secretsForUsers != {} || templatesForUsers != {};

  # Stores without a file: what earlier configurations put into them is cleared away by a unit of its own. Where nothing at all is
  # declared, most machines never had a secret, and should not have to build the program to find that out; so it has to be asked for.
  leftovers = let
    clears = needed || sops.removeLeftovers;
  in {
    regular = clears && !anyRegular;
    forUsers = clears && !anyForUsers;
  };
  # Where the program remembers what it put outside of a store: its name is the mount point as systemd writes paths.
  listOf = mountPoint: "${state}/${lib.replaceStrings ["-" "/"] ["\\x2d" "-"] (lib.removePrefix "/" mountPoint)}.json";

  keyPaths =
    lib.optional (sops.gnupg.home != null) sops.gnupg.home
    ++ sops.gnupg.sshKeyPaths
    ++ lib.optional (sops.age.keyFile != null) sops.age.keyFile
    ++ sops.age.sshKeyPaths;

  # Where links are put other than below /run/secrets.
  linkPaths = lib.filter (path: !lib.hasPrefix "/run/secrets/" path) (
    lib.mapAttrsToList (_: file: file.path) regularSecrets
    ++ lib.mapAttrsToList (_: file: file.path) regularTemplates
  );

  manifest = {
    name,
    secrets,
    templates,
    mountPoint,
    symlinkPath,
  }:
    import ../manifest.nix {inherit lib pkgs sops;} {
      inherit name secrets templates;
      inherit (sops) validationPackage;
      hostName = config.networking.hostName or "";
      accounts = accounts.forManifest (lib.attrValues secrets ++ lib.attrValues templates);
      placement = {
        secretsMountPoint = mountPoint;
        inherit symlinkPath;
        inherit (sops) useTmpfs;
        userMode = false;
      };
    };

  # The words of a unit that installs `manifest`; what is said about its order comes from the caller, and on top of this.
  unit = {
    description,
    arguments,
  }: {
    inherit description;
    wants = lib.optional sops.age.generateKey "sops-generate-age-key.service";
    after = lib.optional sops.age.generateKey "sops-generate-age-key.service";

    # Default dependencies would have a shutdown stop it. Without, one that comes while secrets are being installed waits for that, or
    # unmounts meanwhile what it reads. This makes no cycle: a shutdown stops everything in the reverse of the order in which it
    # started, so this comes after all that follows sysinit.target, and before the mounts of its keys.
    conflicts = ["shutdown.target"];
    before = ["shutdown.target"];

    unitConfig = {
      # Default dependencies put a service after sysinit.target, and these have to be done before it.
      DefaultDependencies = "no";
      # Otherwise the sixth start in ten seconds is refused, and the secrets of that switch are not installed. Nothing here restarts
      # by itself, so there is no loop to stop.
      StartLimitIntervalSec = 0;
    };

    environment =
      sops.environment
      // {
        # Nobody reads the lists of units for switch-to-configuration once it has started units.
        SOPS_RESTART_UNITS_VIA_SYSTEMCTL = "1";
      }
      # systemd puts in the directory of the unit's credentials. The program takes this key beside all others.
      // lib.optionalAttrs (sops.age.keyCredential != null) {SOPS_AGE_KEY_FILE = "%d/${sops.age.keyCredential}";};
    path = sops.age.plugins;
    serviceConfig =
      hardening.installer
      // {
        Type = "oneshot";
        # The manifest's name has the hash of all it says, so switch-to-configuration restarts the unit when there is something to do.
        ExecStart = ["${program} ${arguments}"];
        # Otherwise it would be run again by everything that wants it.
        RemainAfterExit = true;
      }
      # Not LoadCredential=, which finds no credential that is encrypted (as one that is sealed to the TPM is). Both go on without one
      # that is not there: what it would have opened is told by the program.
      // lib.optionalAttrs (sops.age.keyCredential != null) {ImportCredential = [sops.age.keyCredential];};
  };

  # The words of a unit that runs a manifest without secrets, once, if there is something to be cleared away by it: then all of the last
  # generation goes, and every link and copy. After a reboot there is none, and the program clears away the rest without making a store, so that
  # the next secret is a first activation. However secrets are installed, nothing waits for this, so an ordinary unit is early enough.
  leftoversUnit = {
    description,
    arguments,
    mountPoint,
    symlinkPath,
  }: {
    inherit description;
    wantedBy = ["multi-user.target"] ++ lib.optional machine.foreign "system-manager.target";
    unitConfig = {
      # Either: the list, which is gone when all that stands in it is; or a live generation, as after a switch. A directory there is
      # somebody else's, as in a container of podman.
      ConditionPathExists = "|${listOf mountPoint}";
      ConditionPathIsSymbolicLink = "|${symlinkPath}";
    };
    # A note of an earlier run may name units that are still to be told, and nobody reads the lists by now.
    environment.SOPS_RESTART_UNITS_VIA_SYSTEMCTL = "1";
    serviceConfig =
      hardening.remover
      // {
        Type = "oneshot";
        ExecStart = ["${program} ${arguments}"];
        # Otherwise every switch would run it again.
        RemainAfterExit = true;
      };
  };

  # What `unit` does, as an activation script. `deps` are the scripts that have to come first.
  script = {
    greeting,
    arguments,
    deps,
  }:
    lib.stringAfter (deps ++ lib.optional sops.age.generateKey "generate-age-key") ''
      [ -e /run/current-system ] || echo ${greeting}
      ${inEnvironment "${program} ${arguments}"}
    ''
    // dryRuns;

  # Without it a dry activation leaves the script out, and does not tell what would change. Old releases do not know the attribute.
  dryRuns = lib.optionalAttrs (config.system ? dryActivationScript) {supportsDryActivation = true;};

  # In a subshell, so that the other scripts see nothing of it. Values are between quotes as they are: see `sops.environment`.
  inEnvironment = call: let
    variables =
      # Activation scripts have no HOME, and none of root's keys are meant.
      {HOME = "/var/empty";}
      // sops.environment
      // {PATH = lib.concatStringsSep ":" (lib.filter (part: part != "") [(lib.makeBinPath sops.age.plugins) (sops.environment.PATH or "")]);};
  in ''
    (
    ${lib.concatStringsSep "\n" (lib.mapAttrsToList (name: value: "  export ${name}='${value}'") variables)}
      ${call}
    )
  '';

  # For WantsMountsFor=: where the program remembers what it put outside of the store. Found empty there, a list of before would remove
  # nothing, and one that is written below a mount point is hidden by what is mounted there. But no secret is worth less than a list:
  # a mount that fails must not keep them away, so it is not among those that are required; and one that may be absent, or comes with
  # the network, is not waited for. systemd has the setting since 256; an older one would warn of it at every boot.
  mountsForState =
    lib.optionals (lib.versionAtLeast (config.systemd.package.version or "256") "256")
    (lib.filter (path: !mounts.onRemote path && !mounts.onOptional path) [state]);
  state = "/var/lib/sops-activate";

  # For RequiresMountsFor=: without the mounts, some secrets could not be opened, or would be linked below a mount point.
  mountsFor = paths: map escape.path (lib.unique (lib.filter (path: !mounts.onRemote path) (map toString paths)));
  # A link is not worth a boot that waits for a disk which may be absent: there it is made at a switch, and is kept.
  mountsForLinks = lib.filter (path: !mounts.onOptional path) linkPaths;

  # On other distributions, system-manager starts its own target at a switch.
  systemTargets = ["sysinit.target"] ++ lib.optional machine.foreign "system-manager.target";
}
