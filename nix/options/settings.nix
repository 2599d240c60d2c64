# `sops.*` outside of secrets, templates and keys: defaults for secrets, the program, and how it is run.
{userMode}: {
  config,
  lib,
  options,
  pkgs,
  ...
}: let
  inherit (lib) literalExpression mkOption optionalAttrs types;
  sops = config.sops;
  machine = import ../nixos/machine.nix {inherit config lib options;};

  elsewhere = what: example: use:
    mkOption {
      type = types.listOf types.str;
      default = [];
      example = [example];
      description = ''
        ${what} that exist although this configuration does not declare them: made by hand, or by a package, a generator or a directory
        server. ${use}
      '';
    };
in {
  options.sops =
    {
      defaultSopsFile = mkOption {
        type = types.path;
        example = literalExpression "./secrets/secrets.yaml";
        description = "The sops file of every secret that names no other.";
      };
      defaultSopsFormat = mkOption {
        type = types.str;
        default = "yaml";
        description = "Format of the sops file of every secret that names no other.";
      };
      defaultSopsKey = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Key of every secret that names no other, in place of its own name. The empty string means the whole file.";
      };
      validateSopsFiles = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Look into the sops files when the system is built: each must be a sops file and have the keys that the secrets ask for.
          For that the files have to be in the Nix store.
        '';
      };
      keepGenerations = mkOption {
        type = types.ints.unsigned;
        default = 1;
        description = "How many generations of secrets to keep. 0 keeps all.";
      };
      log = mkOption {
        type = types.listOf (types.enum ["keyImport" "secretChanges"]);
        default = ["keyImport" "secretChanges"];
        description = "What to report: which keys were found, and which secrets changed.";
      };
      onFailure = mkOption {
        type = types.enum ["partial" "abort"];
        default = "partial";
        description = ''
          What one secret or template that fails means for the others.

          `partial`: all others are installed. It keeps its last good value and access, or is absent if it never had one; units that only
          it names are not restarted. `abort`: nothing is changed. In either case what failed is reported, and the unit or the script fails.

          This is about files that cannot be produced. What fails once they are in place (a link that cannot be made, a unit that cannot
          be restarted) is reported and undoes nothing, with `abort` as well.
        '';
      };
      removeLeftovers = mkOption {
        type = types.bool;
        default = false;
        description =
          if userMode
          then ''
            Remove what earlier generations have put in place where no secret and no template is declared any more: their files, links and
            copies. For that the program has to be installed. As long as there is a secret this is done in any case.
          ''
          else ''
            Remove files, links and copies of earlier configurations when no secret is declared any more. This needs the program on the
            machine, so it is off by default: set it when you remove the last secret, until the next switch or boot.

            As long as there is any secret, this is done in any case, for the others as well as for all of one kind (those
            with {option}`sops.secrets.<name>.neededForUsers`, or those without).
          '';
      };
      environment = mkOption {
        type = types.attrsOf (types.either types.str types.path);
        default = {};
        example = literalExpression ''{ SOPS_AGE_KEY_FILE = "/var/lib/key.txt"; }'';
        description =
          if userMode
          then ''
            Environment variables for the program.

            Where one names a command that has keys, the unit keeps the privileges that it gives up otherwise: see
            `docs/reference/hardening.md`.
          ''
          else ''
            Environment variables for the program.

            An activation script puts each value between single quotes as it is, so that a value can end the quotes to substitute a
            command. Values from elsewhere need `lib.escapeShellArg`. A unit takes the value literally.

            Where one names a command that has keys, a unit keeps the rights of root that it gives up otherwise: see
            `docs/reference/hardening.md`.
          '';
      };
      package = mkOption {
        type = types.package;
        default = pkgs.callPackage ../package.nix {};
        defaultText = literalExpression "pkgs.callPackage ./package.nix { }";
        description = "The package that has `bin/sops-install-secrets`.";
      };
      validationPackage = mkOption {
        type = types.package;
        # The check is run by the machine that builds, which may not be able to run the programs of the one that is built for.
        default =
          if pkgs.stdenv.buildPlatform == pkgs.stdenv.hostPlatform
          then sops.package
          else pkgs.pkgsBuildHost.callPackage ../package.nix {};
        defaultText = literalExpression "config.sops.package";
        description = ''
          The package whose `bin/sops-install-secrets` checks the manifest at build time. It differs from {option}`sops.package` only in
          a cross build.
        '';
      };
    }
    // optionalAttrs userMode {
      defaultSymlinkPath = mkOption {
        type = types.str;
        default = "${config.xdg.configHome}/sops-nix/secrets";
        defaultText = literalExpression ''"''${config.xdg.configHome}/sops-nix/secrets"'';
        description = "The symbolic link to the secrets as they are now.";
      };
      defaultSecretsMountPoint = mkOption {
        type = types.str;
        default = "%r/secrets.d";
        description = "Directory of the generations of secrets. `%r` stands for `$XDG_RUNTIME_DIR`.";
      };
    }
    // optionalAttrs (!userMode) {
      hostRecipients = mkOption {
        type = types.listOf types.str;
        default = [];
        example = literalExpression ''
          [ (builtins.readFile ./keys/server/ssh_host_ed25519_key.pub) ]
        '';
        description = ''
          Public keys of this machine: SSH public keys as in their files, age recipients, or OpenPGP fingerprints. With one given, the
          build fails for a sops file that a machine with these keys could not open, as long as {option}`sops.validateSopsFiles` is on, and
          names the machine by its {option}`networking.hostName`. An SSH key counts in each of its forms.

          It is the content of `/etc/ssh/ssh_host_ed25519_key.pub` on the machine, or what `ssh-keyscan <host>` prints: names of
          hosts, comments and keys of other kinds do no harm. Give every machine its own, beside its `networking.hostName`.
        '';
      };
      secretsDir = mkOption {
        type = types.str;
        readOnly = true;
        default = "/run/secrets";
        description = "The directory of secrets, for those who need it as a whole.";
      };
      secretsForUsersDir = mkOption {
        type = types.str;
        readOnly = true;
        default = "/run/secrets-for-users";
        description = "The directory of secrets that are needed for users.";
      };
      external = {
        users = elsewhere "Users" "alice" ''
          They can be owners of files; the group is then root's unless one is set.
        '';
        groups = elsewhere "Groups" "staff" ''
          They can be groups of files.
        '';
        units = elsewhere "Units" "app.service" ''
          They can be in `restartUnits` and `reloadUnits`. A name without a suffix is a service; `app@.service` stands for all its
          instances.
        '';
      };
      credentials.enable = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Give secrets and templates to services as credentials of systemd: see {option}`sops.secrets.<name>.credentialFor`. With this, secrets
          and templates cannot be declared by means of {option}`systemd.services.<name>.serviceConfig`, which then depends on them.
        '';
      };
      testing.dummySecrets = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Install `dummy-value-of-<name>` in place of each secret, with its name, owner and mode, for a virtual machine that has no keys. No
          key is read and no sops file. It is refused anywhere else than in such a machine:

          ```nix
          virtualisation.vmVariant.sops.testing.dummySecrets = true;
          ```
        '';
      };
      useTmpfs = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Keep the secrets on a tmpfs in place of a ramfs, for containers that may not mount the latter.

          Kernels before 6.4 may write a tmpfs to swap: there, encrypt the swap
          ({option}`swapDevices.*.randomEncryption.enable`).
        '';
      };
      useSystemdActivation = mkOption {
        type = types.bool;
        default = machine.unitsOnly || machine.usersByUnit;
        defaultText = literalExpression ''
          config.systemd.sysusers.enable || config.services.userborn.enable
          || config.system.nixos-init.enable || !(options.system ? activationScripts)
        '';
        description = ''
          Install secrets by systemd units rather than by activation scripts. It is on automatically where users are made by a unit or where
          there are no activation scripts.

          Secrets with {option}`sops.secrets.<name>.neededForUsers` follow, except where users are made by an activation script: only
          another script can come before that.
        '';
      };
    };
}
