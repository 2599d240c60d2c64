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
  credentials = import ./credential-services.nix {inherit config lib unknownUnits;};
  unknownUnits = import ./unknown-units.nix {inherit config lib;};
  inherit (installation) anyForUsers linkPaths machine scripts secretsForUsers templatesForUsers units;

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
  noId = id: id == null || id == 0;
  rootOnly = name: name == null || name == "root";

  ownership = option: file: [
    {
      assertion = noId file.uid || file.owner == null;
      message = ''
        ${option} has both an owner ("${toString file.owner}") and a uid (${toString file.uid}).
        Remove one of the two lines; with uid alone the user need not exist.
      '';
    }
    {
      assertion = noId file.gid || file.group == null;
      message = ''
        ${option} has both a group ("${toString file.group}") and a gid (${toString file.gid}).
        Remove one of the two lines. A group that was not set is the one of the owner: use uid in place of owner, or set group = null;
      '';
    }
  ];

  forUsers = option: file: {
    assertion = noId file.uid && noId file.gid && rootOnly file.owner && rootOnly file.group;
    message = ''
      ${option} is needed for users, so it is installed when there are none yet, and belongs to root.
      Remove owner, group, uid and gid; or remove neededForUsers = true.
    '';
  };

  # Keys that are read before systemd has mounted anything beyond what the initrd left.
  late = lib.filter (key: mounts.onLate key.path) common.keys;
  early =
    lib.optional anyForUsers "secrets with neededForUsers are installed"
    ++ lib.optional scripts.regular "the activation script installs secrets";

  remoteWarning = what: path: ''
    ${what} is '${toString path}', on the network file system ${(mounts.of path).mountPoint}. Secrets are installed before there is a
    network, so at boot it is out of reach. Use a path on a local file system.
  '';

  unitWarnings = option: file:
    lib.concatMap (list:
      map (unit: ''
        ${option}.${list} names '${unit}', which this configuration does not define: nothing will happen to it when the file changes.
        Look for a slip of the pen. If the unit comes from elsewhere (a package in systemd.packages, a generator), say that it exists:
          systemd.${unknownUnits.set unit}.${lib.strings.escapeNixIdentifier (unknownUnits.stem unit)} = { };
      '') (unknownUnits.among file.${list})) ["restartUnits" "reloadUnits"];
in {
  config = lib.mkIf (installation.needed || sops.templates != {}) {
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
              lib.optionalString scripts.forUsers " and services.userborn.enable = true;"
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
            Set sops.gnupg.home in its place, or use the default of sops.package.
          '';
        }
      ]
      ++ common.assertions
      ++ lib.concatLists (lib.mapAttrsToList (name: ownership (secretOption name)) sops.secrets)
      ++ lib.concatLists (lib.mapAttrsToList (name: ownership (templateOption name)) sops.templates)
      ++ lib.mapAttrsToList (name: forUsers (secretOption name)) secretsForUsers
      ++ lib.mapAttrsToList (name: forUsers (templateOption name)) templatesForUsers
      ++ credentials.assertions;

    warnings =
      common.warnings
      ++ credentials.warnings
      ++ lib.optionals (early != []) (map (key: let
          mountPoint = (mounts.of key.path).mountPoint;
        in ''
          ${key.option} names '${toString key.path}', on the file system ${mountPoint}, which is not mounted yet when
          ${lib.concatStringsSep " and " early}. Secrets that need this key will be missing after a boot. Add:
            fileSystems."${mountPoint}".neededForBoot = true;
        '')
        late)
      ++ lib.optionals units.regular (
        map (key: remoteWarning "A key in ${key.option}" key.path) (lib.filter (key: mounts.onRemote key.path) common.keys)
        ++ map (path: remoteWarning "The path of a secret or a template" path) (lib.filter mounts.onRemote linkPaths)
      )
      # Units of another distribution are not in the configuration.
      ++ lib.optionals (!machine.foreign) (
        lib.concatLists (
          lib.mapAttrsToList (name: unitWarnings (secretOption name)) sops.secrets
          ++ lib.mapAttrsToList (name: unitWarnings (templateOption name)) sops.templates
        )
      );
  };
}
