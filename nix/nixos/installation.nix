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
  order = import ./order.nix {inherit config lib;};
  accounts = import ./accounts.nix {inherit config lib options;};
  escape = import ../systemd-escape.nix {inherit lib;};
  inherit (import ../unit-words.nix {inherit lib;}) isYes words;
  definitionsOf = import ../definitions.nix {
    inherit lib;
    option = options.systemd.services;
    module = ./.;
  };
  hardening = import ../hardening.nix {inherit definitionsOf lib sops;};
  program = "${sops.package}/bin/sops-install-secrets";
  generator = {
    path = [pkgs.age pkgs.coreutils];
    command = "${pkgs.runtimeShell} ${../generate-age-key.sh}";
  };
in rec {
  inherit generator hardening machine;

  # The set of units depends on the secrets alone. Templates may depend on the units of the system, so reading the names of templates
  # here would be infinite recursion.
  needed = sops.secrets != {};
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
  anyRegular = regularSecrets != {};
  anyForUsers = secretsForUsers != {};

  # Stores without a secret: a separate unit removes the files of earlier configurations. If no secret is declared at all, an option
  # turns this on: most such machines never had a secret, and should not have to build the program.
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
  # Keys that a variable names.
  keyVariables = environment:
    lib.filter (lib.hasPrefix "/") (map (name: toString environment.${name} or "") ["GNUPGHOME" "SOPS_AGE_KEY_FILE" "SOPS_AGE_SSH_PRIVATE_KEY_FILE"]);
  # Sops files and templates that are read from the disk of the machine. A path in Nix is copied to the store.
  filesOutsideStore = let
    outside = file: !builtins.isPath file && !lib.hasPrefix "${builtins.storeDir}/" (toString file);
  in
    map toString (lib.filter outside (lib.mapAttrsToList (_: secret: secret.sopsFile) regularSecrets));

  # Where links are put other than below /run/secrets.
  linkPaths = linksOf regularSecrets ++ linksOf regularTemplates;
  # The order of units goes by those of secrets. Templates may depend on what any unit says of its order, ours included.
  orderedLinkPaths = linksOf regularSecrets;
  linksOf = files: lib.filter (path: !lib.hasPrefix "/run/secrets/" path) (lib.mapAttrsToList (_: file: file.path) files);

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

  # The settings of a unit that installs `manifest`; the caller adds its order. Single values are defaults, so that a configuration can
  # set them; lists add up, as in sops-nix.
  unit = {
    name,
    description,
    arguments,
  }: {
    wants = lib.optional sops.age.generateKey "sops-generate-age-key.service";
    after = lib.optional sops.age.generateKey "sops-generate-age-key.service";

    # Default dependencies would have a shutdown stop it. Without, one that comes while secrets are being installed waits for that, or
    # unmounts meanwhile what it reads. This makes no cycle: a shutdown stops everything in the reverse of the order in which it
    # started, so this comes after all that follows sysinit.target, and before the mounts of its keys.
    conflicts = ["shutdown.target"];
    before = ["shutdown.target"];

    unitConfig = {
      # Not `description`, which NixOS makes a definition of this one that no other can override.
      Description = lib.mkDefault description;
      # Default dependencies put a service after sysinit.target, and these have to be done before it.
      DefaultDependencies = lib.mkDefault "no";
      # Otherwise the sixth start in ten seconds is refused, and the secrets of that switch are not installed. Nothing here restarts
      # automatically, so there is no loop to stop.
      StartLimitIntervalSec = lib.mkDefault 0;
    };

    environment = lib.mapAttrs (_: lib.mkDefault) (sops.environment
      // {
        # Nobody reads the lists of units for switch-to-configuration once it has started units.
        SOPS_RESTART_UNITS_VIA_SYSTEMCTL = "1";
      }
      # systemd puts in the directory of the unit's credentials. The program takes this key beside all others.
      // lib.optionalAttrs (sops.age.keyCredential != null) {SOPS_AGE_KEY_FILE = "%d/${sops.age.keyCredential}";});
    path = sops.age.plugins;
    serviceConfig =
      hardening.installer name
      // {
        Type = lib.mkDefault "oneshot";
        # The manifest's name has the hash of all it says, so switch-to-configuration restarts the unit when there is something to do.
        ExecStart = ["${program} ${arguments}"];
        # Otherwise it would be run again by everything that wants it.
        RemainAfterExit = lib.mkDefault true;
      }
      # Not LoadCredential=, which finds no credential that is encrypted (as one that is sealed to the TPM is). Both go on without one
      # that is not there: what it would have opened is told by the program.
      // lib.optionalAttrs (sops.age.keyCredential != null) {ImportCredential = [sops.age.keyCredential];};
  };

  # The words of a unit that runs a manifest without secrets, once, if there is something to be cleared away by it: then all of the last
  # generation goes, and every link and copy. After a reboot there is none, and the program clears away the rest without making a store, so that
  # the next secret is a first activation. However secrets are installed, nothing waits for this, so an ordinary unit is early enough.
  leftoversUnit = {
    name,
    description,
    arguments,
    mountPoint,
    symlinkPath,
  }: {
    wantedBy = ["multi-user.target"] ++ lib.optional machine.foreign "system-manager.target";
    unitConfig = {
      Description = lib.mkDefault description;
      # Either: the list, which is gone when all that stands in it is; or a live generation, as after a switch. A directory there is
      # somebody else's, as in a container of podman.
      ConditionPathExists = "|${listOf mountPoint}";
      ConditionPathIsSymbolicLink = "|${symlinkPath}";
    };
    # A note of an earlier run may name units that are still to be told, and nobody reads the lists by now.
    environment.SOPS_RESTART_UNITS_VIA_SYSTEMCTL = "1";
    serviceConfig =
      hardening.remover name
      // {
        Type = lib.mkDefault "oneshot";
        ExecStart = ["${program} ${arguments}"];
        # Otherwise every switch would run it again.
        RemainAfterExit = lib.mkDefault true;
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

  # The mounts that the regular secrets wait for.
  #
  # local-fs.target covers the mounts of keys, of links and of sops files outside of the store, also behind symlinks, and the services
  # before it that put a key in place. If a local file system is opened with a secret, waiting for that target would be a cycle.
  waitsForLocalFileSystems = !order.localFileSystemsNeed orderedLinkPaths;
  # RequiresMountsFor=: without these mounts, some secrets could not be opened, or would be linked below a mount point.
  requiredMounts = map escape.path requiredPaths;
  requiredPaths = unique (lib.filter (path: !mounts.onRemote path && !mounts.onOptional path) (readPaths ++ orderedLinkPaths));
  # Optional and network mounts with a key or a sops file: waited for, but not required, because other keys and files do not need them.
  # The boot does not wait for such a mount for the sake of a link: a switch makes the link, and it stays.
  wantedMounts =
    unique (map (path: escape.mountUnit (mounts.of path).mountPoint)
      (lib.filter (path: mounts.onRemote path || mounts.onOptional path) readPaths));
  readPaths = keys ++ map mounts.resolved filesOutsideStore;
  keys = map mounts.resolved (map toString keyPaths ++ keyVariables (sops.environment // extraEnvironment));
  # Secrets for users wait for no mount: see users.nix. If a mount has their key, they fail first, and are tried again after the mount.
  keysMountedLate = lib.any mounts.onLate keys;
  # Environment variables that the configuration sets on the unit itself.
  extraEnvironment = lib.foldl' (all: added: all // lib.filterAttrs (_: lib.isString) added) {} ((definitionsOf "sops-install-secrets").values ["environment"]);

  # WantsMountsFor=: the directory with the list of files outside of the store. Before the mount, the program would find no list and remove
  # nothing, and the mount would hide a new list. Secrets matter more than the list, so a mount that fails must not prevent them: it is
  # not required, and an optional or network mount is not waited for. systemd has the setting since 256; an older systemd would warn at
  # every boot, and the version on another distribution is unknown.
  mountsForState =
    lib.optionals (!machine.foreign && lib.versionAtLeast (config.systemd.package.version or "256") "256")
    (lib.filter (path: !mounts.onRemote path && !mounts.onOptional path) [state]);
  state = "/var/lib/sops-activate";

  # RequiresMountsFor= of the unit that makes a key.
  mountsFor = paths: map escape.path (unique (lib.filter (path: !mounts.onRemote path) (map toString paths)));
  # As lib.unique, in linear time.
  unique = texts:
    map (text: text.key) (lib.genericClosure {
      startSet = map (key: {inherit key;}) texts;
      operator = _: [];
    });

  # The late units (those with default dependencies) that precede secrets for users, and all secrets. They keep the secrets from coming
  # before sysinit.target. sops-check-secrets.service handles late units that the evaluation cannot see.
  lateBefore = let
    installer = name: mountsFor: let
      also = setting: lib.concatMap words ((definitionsOf name).values ["unitConfig" setting]);
    in {
      after = (config.systemd.services.${name} or {}).after or [] ++ also "After";
      mountsFor = mountsFor ++ also "RequiresMountsFor" ++ also "WantsMountsFor";
    };
    installers =
      lib.optionalAttrs units.regular {"sops-install-secrets.service" = installer "sops-install-secrets" requiredPaths;}
      // lib.optionalAttrs units.forUsers {"sops-install-secrets-for-users.service" = installer "sops-install-secrets-for-users" [];};
    target."sops-secrets.target" = {
      after = config.systemd.targets.sops-secrets.after or [];
      defaultDependencies = false;
    };
  in {
    forUsers = order.lateBeforeUsers installers "sops-install-secrets-for-users.service";
    all = order.lateBefore (installers // target) "sops-secrets.target";
  };
  # Whether the configuration gives an installer default dependencies.
  isOrdinary = name: lib.any isYes ((definitionsOf name).values ["unitConfig" "DefaultDependencies"]);

  # A warning about those units. `lost` is the consequence.
  lateWarning = name: late: lost: let
    # Where the configuration defines the unit, it can say this of it.
    cures = lib.concatMap (kind:
      map (unit: "  systemd.${kind}s.${lib.strings.escapeNixIdentifier (lib.removeSuffix ".${kind}" unit)}.unitConfig.DefaultDependencies = false;")
      (lib.filter (unit: lib.hasSuffix ".${kind}" unit && config.systemd."${kind}s" ? ${lib.removeSuffix ".${kind}" unit}) late)) ["service" "socket" "path" "timer"];
  in
    lib.optional (late != [] && !isOrdinary name) (''
        ${name}.service cannot come before sysinit.target, because it comes after
        ${lib.concatStringsSep ", " late}. ${lost}
      ''
      + lib.optionalString (cures != []) ''
        If that can start so early (before most mounts, sockets, D-Bus and the network), let it:
        ${lib.concatStringsSep "\n" cures}
      ''
      + ''
        Otherwise order the services that need secrets after sops-secrets.target, and say that this is meant:
          systemd.services.${name}.unitConfig.DefaultDependencies = true;
      '');

  # On other distributions, system-manager starts its own target at a switch.
  systemTargets = ["sysinit.target"] ++ lib.optional machine.foreign "system-manager.target";
}
