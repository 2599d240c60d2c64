# The regular secrets and the templates, the age key of the machine, and the target that other units can wait for.
{
  config,
  lib,
  options,
  pkgs,
  ...
}: let
  sops = config.sops;
  escape = import ../systemd-escape.nix {inherit lib;};
  installation = import ./installation.nix {inherit config lib options pkgs;};
  inherit (installation) generator keyPaths leftovers machine mountsForLinks regularSecrets regularTemplates scripts systemTargets units;

  store = {
    mountPoint = "/run/secrets.d";
    symlinkPath = "/run/secrets";
  };
  manifest = installation.manifest (
    store
    // {
      name = "manifest";
      secrets = regularSecrets;
      templates = regularTemplates;
    }
  );

  installers =
    lib.optional units.forUsers "sops-install-secrets-for-users.service"
    ++ lib.optional units.regular "sops-install-secrets.service";
in {
  config = lib.mkMerge [
    (lib.optionalAttrs (options ? system.build) {system.build.sops-nix-manifest = manifest;})

    (lib.mkIf installation.needed {
      sops.environment.SOPS_GPG_EXEC =
        lib.mkIf (sops.gnupg.home != null || sops.gnupg.sshKeyPaths != [])
        (lib.mkDefault "${sops.gnupg.package}/bin/gpg");

      systemd.services = lib.mkMerge [
        (lib.mkIf units.regular {
          sops-install-secrets = lib.mkMerge [
            (installation.unit {
              description = "Install secrets";
              arguments = "${manifest}";
            })
            {
              wantedBy = systemTargets;
              # A switch starts it again by way of this target, before it starts the units that need the new secrets.
              requiredBy = ["sysinit-reactivation.target"];
              before = [
                # Every service with default dependencies comes after it, and so finds its secrets. Being wanted orders nothing.
                "sysinit.target"
                # For the same reason, at a switch.
                "sysinit-reactivation.target"
              ];
              # Owners are looked up by name.
              after = ["systemd-sysusers.service" "userborn.service"];
              # Only the mounts that are needed, not local-fs.target: a file system that is opened with a secret is part of that.
              unitConfig = {
                RequiresMountsFor = installation.mountsFor (keyPaths ++ mountsForLinks);
                WantsMountsFor = installation.mountsForState;
              };
            }
          ];
        })

        (lib.mkIf (sops.age.generateKey && installers != []) {
          sops-generate-age-key = {
            description = "Generate the age key of this machine";
            # Wanted by the units that install secrets, which are also those that need it. It does not remain active: each of their
            # starts looks again whether there is a key.
            before = installers ++ ["shutdown.target"];
            conflicts = ["shutdown.target"];
            inherit (generator) path;
            unitConfig =
              {
                DefaultDependencies = "no";
                # It is started as often as what wants it.
                StartLimitIntervalSec = 0;
              }
              # Where the key is needed for users, no mount can be waited for: see users.nix.
              // lib.optionalAttrs (!units.forUsers) {RequiresMountsFor = installation.mountsFor [sops.age.keyFile];};
            serviceConfig =
              installation.hardening.generator
              // {
                Type = "oneshot";
                ExecStart = ["${generator.command} ${escape.argument sops.age.keyFile}"];
              };
          };
        })
      ];

      # A name to wait for that does not depend on how secrets are installed. Where scripts do it, they have done it before systemd
      # starts any unit, and there is nothing to wait for. It requires the units, so that a service can choose: `after` and `wants`
      # it to start with whatever secrets there are, `after` and `requires` it to start only when none is missing.
      systemd.targets.sops-secrets = {
        description = "Secrets Installed";
        wantedBy = systemTargets;
        before = ["sysinit.target"];
        requires = installers;
        after = installers;
      };
    })

    {
      systemd.services = lib.mkIf leftovers.regular {
        sops-remove-leftovers = installation.leftoversUnit (
          store
          // {
            description = "Remove secrets that are no longer declared";
            arguments = "${manifest}";
          }
        );
      };
    }

    # Of what is left behind on a disk, a machine without the program can only tell. Nothing is left in memory once it boots.
    (lib.optionalAttrs machine.hasActivationScripts {
      system.activationScripts = lib.mkIf (!installation.needed && !sops.removeLeftovers && !machine.unitsOnly) {
        tellOfSecretsLeft =
          lib.stringAfter ["specialfs"] ''
            for list in ${lib.escapeShellArgs (map installation.listOf ["/run/secrets.d" "/run/secrets-for-users.d"])}; do
              [ ! -e "$list" ] ||
                echo "warning: secrets that are no longer declared left links or copies ($list); set sops.removeLeftovers = true;" >&2
            done
          ''
          // installation.dryRuns;
      };
    })

    (lib.optionalAttrs machine.hasActivationScripts {
      system.activationScripts = lib.mkIf installation.needed {
        setupSecrets = lib.mkIf scripts.regular (installation.script {
          greeting = "setting up secrets...";
          arguments = "${manifest}";
          # /run is there, and so are the owners.
          deps = ["specialfs" "users" "groups"];
        });

        # Empty where only units need the key: a script could not wait for the file system that the key belongs on. The name
        # remains for configurations that order it.
        generate-age-key = lib.mkIf sops.age.generateKey (
          lib.stringAfter [] (lib.optionalString (scripts.regular || scripts.forUsers) ''
            PATH=${lib.makeBinPath generator.path} ${generator.command} ${lib.escapeShellArg sops.age.keyFile}
          '')
          // installation.dryRuns
        );
      };
    })
  ];
}
