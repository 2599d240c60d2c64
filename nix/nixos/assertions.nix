# What makes no sense on a system, and what will not work when it boots.
{
  config,
  lib,
  options,
  pkgs,
  ...
}: let
  sops = config.sops;
  installation = import ./installation.nix {inherit config lib options pkgs;};
  mounts = import ./mounts.nix {inherit config lib;};
  accounts = import ./accounts.nix {inherit config lib options;};
  credentials = import ./credential-services.nix {inherit config lib options;};
  unknownUnits = import ./unknown-units.nix {inherit config lib;};
  inherit (installation) anyForUsers linkPaths machine regularSecrets regularTemplates scripts secretsForUsers templatesForUsers units;

  common = import ../assertions.nix {
    inherit lib options sops;
    installedDirectories = ["/run/secrets" "/run/secrets.d" "/run/secrets-for-users" "/run/secrets-for-users.d"];
    inherit (mounts) inMemory;
  };
  inherit (common) secretOption templateOption;

  hasKey =
    sops.testing.dummySecrets
    || sops.age.keyCredential != null
    || sops.gnupg.home != null
    || sops.gnupg.sshKeyPaths != []
    || sops.age.keyFile != null
    || sops.age.sshKeyPaths != [];
  # Each secret and each template, with the name of its option.
  files =
    lib.mapAttrsToList (name: file: {
      inherit file;
      option = secretOption name;
      # sops-nix refuses this for secrets only, and only if the build checks sops files.
      strict = sops.validateSopsFiles;
    })
    sops.secrets
    ++ lib.mapAttrsToList (name: file: {
      inherit file;
      option = templateOption name;
      strict = false;
    })
    sops.templates;
  ofFiles = report: lib.concatMap report files;

  noId = id: id == null || id == 0;
  rootOnly = name: name == null || name == "root";

  twoOwners = {
    file,
    option,
    strict,
  }: let
    ignored = what: lib.optionalString (!strict) " The ${what} has no effect then.";
  in
    lib.optional (!noId file.uid && file.owner != null) ''
      ${option} has both an owner ("${file.owner}") and a uid (${toString file.uid}).${ignored "uid"}
      Remove one of the two lines; with uid alone the user need not exist.
    ''
    ++ lib.optional (!noId file.gid && file.group != null) ''
      ${option} has both a group ("${file.group}") and a gid (${toString file.gid}).${ignored "gid"}
      Remove one of the two lines. A group that was not set is the one of the owner: use uid in place of owner, or set group = null;
    '';

  # There are no users yet, so a name has no ID, and sops-nix gives such a file to root. A number would take effect.
  numberForUsers = file: !noId file.uid && file.owner != "root" || !noId file.gid && file.group != "root";
  nameForUsers = file: !rootOnly file.owner || !rootOnly file.group;
  forUsers = "is needed for users, so it is installed when there are none yet, and belongs to root";

  # Keys that are read before systemd has mounted anything beyond what the initrd left.
  late = lib.filter (key: mounts.onLate key.path) common.keys;
  early =
    lib.optional anyForUsers "secrets with neededForUsers are installed"
    ++ lib.optional scripts.regular "the activation script installs secrets";

  # The initrd mounts marked file systems, and a failure stops the boot. So remote and optional ones must not be marked. A bind mount
  # needs the file system of its source as well.
  whereEarly = path: let
    below = fileSystem:
      lib.optionals (fileSystem != null && !mounts.isEarly fileSystem) (
        lib.optionals (lib.hasPrefix "/" (source fileSystem) && !lib.hasPrefix "/dev/" (source fileSystem)) (below (mounts.of (source fileSystem)))
        ++ [fileSystem]
      );
    source = fileSystem: toString (fileSystem.device or "");
    all = below (mounts.of path);
  in
    if lib.any (fileSystem: mounts.isRemote fileSystem || mounts.isOptional fileSystem) all
    then ''
      Use a key on a
      file system that the initrd mounts.
    ''
    else ''
      Add:
      ${lib.concatMapStringsSep "\n" (fileSystem: "  fileSystems.${lib.strings.escapeNixIdentifier fileSystem.mountPoint}.neededForBoot = true;") all}
    '';

  restartsUnits = file: file.restartUnits != [] || file.reloadUnits != [];

  remoteWarning = path: ''
    The path of a secret or a template is '${toString path}', on the network file system ${(mounts.of path).mountPoint}. The boot does not
    wait for that, so the link may be made before, where the file system then hides it. Use a path on a local file system.
  '';

  unitWarnings = {
    file,
    option,
    ...
  }:
    lib.concatMap (list:
      map (unit: ''
        ${option}.${list} names '${unit}', which this configuration does not define: nothing will happen to it when the file changes.
        Look for a typo. If the unit comes from elsewhere (a package in systemd.packages, a generator), say that it exists:
          sops.external.units = [ ${lib.strings.escapeNixString unit} ];
      '') (unknownUnits.among file.${list})) ["restartUnits" "reloadUnits"];
in {
  # Not `installation.needed`, which depends on secrets alone.
  config = lib.mkIf (sops.secrets != {} || sops.templates != {}) {
    assertions =
      [
        {
          assertion = sops.secrets != {} -> hasKey;
          message = ''
            No key source configured for sops: nothing could open the secrets.
            Either set services.openssh.enable = true; (its host keys are used then), or set sops.age.keyFile, sops.age.sshKeyPaths or
            sops.gnupg.home.
          '';
        }
        {
          # What a virtual machine of this configuration is made of declares it, and nothing else: the modules of images and
          # containers have other options below `virtualisation`.
          assertion = sops.testing.dummySecrets -> options ? virtualisation.diskImage;
          message = ''
            sops.testing.dummySecrets is set for a machine that is not a virtual one: it would run with secrets that everybody knows.
            For `nixos-rebuild build-vm`, write it so that it counts there only:
              virtualisation.vmVariant.sops.testing.dummySecrets = true;
          '';
        }
        {
          assertion = sops.age.keyCredential != null -> !scripts.regular && !scripts.forUsers;
          message = ''
            sops.age.keyCredential is the name of a credential of systemd, which only units have, and activation scripts install
            ${
              lib.concatStringsSep " and " (lib.optional scripts.forUsers "secrets with neededForUsers" ++ lib.optional scripts.regular "other secrets")
            }.
            Set sops.useSystemdActivation = true;${
              lib.optionalString scripts.forUsers (
                if options ? services.userborn
                then " and services.userborn.enable = true;"
                else " and remove neededForUsers = true; from all secrets."
              )
            }
          '';
        }
        {
          assertion = sops.age.keyCredential != null -> !(sops.environment ? SOPS_AGE_KEY_FILE);
          message = ''
            sops.age.keyCredential and sops.environment.SOPS_AGE_KEY_FILE name two files for one place.
            Remove the latter; a key on the disk can be named in sops.age.keyFile.
          '';
        }
        {
          assertion = !(sops.gnupg.home != null && sops.gnupg.sshKeyPaths != []);
          message = ''
            Exactly one of sops.gnupg.home and sops.gnupg.sshKeyPaths must be set.
            To use the keyring in sops.gnupg.home, add sops.gnupg.sshKeyPaths = [ ];
          '';
        }
        {
          assertion = machine.unitsOnly -> sops.useSystemdActivation;
          message = ''
            Secrets are declared, but nothing would install them: this system runs no activation scripts, and
            sops.useSystemdActivation is false. Remove that line.
          '';
        }
        {
          assertion = secretsForUsers != {} && machine.sysusers -> config.users.mutableUsers or true;
          message = ''
            systemd.sysusers.enable in combination with sops.secrets.<name>.neededForUsers can only work with users.mutableUsers enabled:
            systemd-sysusers sets a password only when it makes the user. Set users.mutableUsers = true; or use
            services.userborn.enable = true; in place of systemd.sysusers.enable.
          '';
        }
        {
          # A program without OpenPGP leaves such files to gpg, and gpg does not read SSH keys.
          assertion = common.setByUser options.sops.gnupg.sshKeyPaths && sops.gnupg.sshKeyPaths != [] -> sops.package.openpgp or true;
          message = ''
            sops.gnupg.sshKeyPaths is set, but sops.package was built without OpenPGP, which is what makes OpenPGP keys from SSH keys.
            Set sops.gnupg.home and sops.gnupg.sshKeyPaths = [ ]; or use the default of sops.package.
          '';
        }
      ]
      ++ common.assertions
      ++ ofFiles ({
          file,
          option,
          strict,
        } @ found:
          [(accounts.assertions option file)]
          ++ map (message: {
            assertion = false;
            inherit message;
          }) (lib.optionals strict (twoOwners found))
          ++ lib.optional (file.neededForUsers && numberForUsers file) {
            assertion = false;
            message = ''
              ${option} ${forUsers}.
              Remove owner, group, uid and gid; or remove neededForUsers = true.
            '';
          })
      ++ lib.optional (secretsForUsers == {}) {
        assertion = templatesForUsers == {};
        message = ''
          Templates are needed for users, but no secret is, so they would not be installed:
          ${lib.concatMapStringsSep "\n" (name: "- ${templateOption name}") (lib.attrNames templatesForUsers)}
          Set neededForUsers = true; for a secret that they hold. A file that holds none needs no sops: use environment.etc or pkgs.writeText.
        '';
      }
      ++ credentials.assertions;

    warnings =
      common.warnings
      ++ lib.optional (regularSecrets == {} && regularTemplates != {}) ''
        Templates are declared, but ${
          if secretsForUsers == {}
          then "no secret is"
          else "all secrets are needed for users"
        }, so they are not installed:
        ${lib.concatMapStringsSep "\n" (name: "- ${templateOption name}") (lib.attrNames regularTemplates)}
        Declare the secrets that they hold. A file that holds none needs no sops: use environment.etc or pkgs.writeText.
      ''
      ++ ofFiles ({
          file,
          option,
          strict,
        } @ found:
          accounts.warnings option file
          ++ lib.optionals (!strict) (twoOwners found)
          ++ lib.optional (file.neededForUsers && !numberForUsers file && nameForUsers file) ''
            ${option} ${forUsers}, whatever its owner and group are.
            Remove owner and group; or remove neededForUsers = true, and take the secret at /run/secrets.
          '')
      ++ lib.optionals (early != []) (map (key: ''
        ${key.option} names '${toString key.path}', on the file system ${(mounts.of key.path).mountPoint}, which is not mounted yet when
        ${lib.concatStringsSep " and " early}. A boot then goes on without the secrets that need this key. ${whereEarly key.path}'')
      late)
      ++ lib.optionals units.regular (map remoteWarning (lib.filter mounts.onRemote linkPaths))
      # Activation scripts restart units through lists for switch-to-configuration, which nixpkgs' pull request 473367 deprecates.
      ++ lib.optional (scripts.regular && lib.versionAtLeast (config.system.nixos.release or "0") "26.11" && lib.any restartsUnits (lib.attrValues regularSecrets ++ lib.attrValues regularTemplates)) ''
        restartUnits and reloadUnits of secrets and templates take effect by way of lists that this NixOS has deprecated, because an
        activation script installs the secrets. Install them by a unit, which asks systemd instead:
          sops.useSystemdActivation = true;
      ''
      # Units of another distribution are not in the configuration.
      ++ lib.optionals (!machine.foreign) (ofFiles unitWarnings);
  };
}
