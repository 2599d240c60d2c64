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
  inherit (installation) generator leftovers machine regularSecrets regularTemplates scripts systemTargets units;

  store = {
    mountPoint = "/run/secrets.d";
    symlinkPath = "/run/secrets";
  };
  manifest = installation.manifest (
    store
    // {
      name = "manifest";
      secrets = regularSecrets;
      templates = lib.optionalAttrs (regularSecrets != {}) regularTemplates;
    }
  );

  inherit (installation) isOrdinary lateBefore;
  # Both kinds: units that wait for the target wait for both.
  isEarly =
    lateBefore.all
    == []
    && !(units.regular && isOrdinary "sops-install-secrets")
    && !(units.forUsers && isOrdinary "sops-install-secrets-for-users");

  installers =
    lib.optional units.forUsers "sops-install-secrets-for-users.service"
    ++ lib.optional units.regular "sops-install-secrets.service";
  # Where a configuration has taken `wantedBy` from one, something else starts it, or nobody does: its key may never come at a boot.
  startedAtBoot = lib.filter (name: config.systemd.services.${lib.removeSuffix ".service" name}.wantedBy != []) installers;
  targetAtBoot = startedAtBoot == installers;
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
              name = "sops-install-secrets";
              description = "Install secrets";
              arguments = "${manifest}";
            })
            {
              wantedBy = systemTargets;
              # A switch starts it again by way of this target, before it starts the units that need the new secrets.
              requiredBy = ["sysinit-reactivation.target"];
              before = ["sysinit-reactivation.target"];
              after =
                lib.optional installation.waitsForLocalFileSystems "local-fs.target"
                # Owners are looked up by name.
                ++ ["systemd-sysusers.service" "userborn.service"]
                ++ installation.wantedMounts;
              wants = installation.wantedMounts;
              unitConfig = {
                RequiresMountsFor = installation.requiredMounts;
                # A configuration may say it as one text, which does not add up with a list.
                WantsMountsFor = lib.mkDefault installation.mountsForState;
              };
            }
          ];
        })

        (lib.mkIf (installers != []) {
          # Handles cycles with units that the evaluation cannot see. No unit comes after this one, so it is in no cycle itself.
          sops-check-secrets = {
            wantedBy = lib.optionals (startedAtBoot != []) systemTargets;
            after = ["sysinit.target" "sops-secrets.target"] ++ installers;
            conflicts = ["shutdown.target"];
            before = ["shutdown.target"];
            unitConfig = {
              Description = lib.mkDefault "Check that secrets were installed";
              DefaultDependencies = lib.mkDefault "no";
            };
            serviceConfig =
              installation.hardening.check "sops-check-secrets"
              // {
                Type = lib.mkDefault "oneshot";
                RemainAfterExit = lib.mkDefault true;
                ExecStart = ["${pkgs.runtimeShell} ${../check-secrets.sh} systemctl --system ${lib.optionalString (lib.elem "sops-install-secrets-for-users.service" startedAtBoot && installation.keysMountedLate) "--retry "}${toString (startedAtBoot ++ lib.optional targetAtBoot "sops-secrets.target")}"];
              };
          };
        })

        (lib.mkIf (sops.age.generateKey && installers != []) {
          sops-generate-age-key = {
            # Wanted by the units that install secrets, which are also those that need it. It does not remain active: each of their
            # starts looks again whether there is a key.
            before = installers ++ ["shutdown.target"];
            conflicts = ["shutdown.target"];
            inherit (generator) path;
            unitConfig =
              {
                Description = lib.mkDefault "Generate the age key of this machine";
                DefaultDependencies = lib.mkDefault "no";
                # It is started as often as what wants it.
                StartLimitIntervalSec = lib.mkDefault 0;
              }
              # Where the key is needed for users, no mount can be waited for: see users.nix.
              // lib.optionalAttrs (!units.forUsers) {RequiresMountsFor = installation.mountsFor [sops.age.keyFile];};
            serviceConfig =
              installation.hardening.generator "sops-generate-age-key"
              // {
                Type = lib.mkDefault "oneshot";
                ExecStart = ["${generator.command} ${escape.argument sops.age.keyFile}"];
              };
          };
        })
      ];

      # A name to wait for that does not depend on how secrets are installed. Where scripts do it, they have done it before systemd
      # starts any unit, and there is nothing to wait for. It requires the units, so that a service can choose: `after` and `wants`
      # it to start with whatever secrets there are, `after` and `requires` it to start only when none is missing.
      #
      # It also carries the order of all else: what comes after sysinit.target finds its secrets. The units themselves do not, so that
      # what comes before them can be asked for here; and where that is late, nothing is ordered after them. It has no default
      # dependencies, which would order it before every target that wants it.
      systemd.targets.sops-secrets = {
        wantedBy = lib.optionals targetAtBoot systemTargets;
        before = ["shutdown.target"] ++ lib.optional isEarly "sysinit.target";
        conflicts = ["shutdown.target"];
        requires = installers;
        after = installers;
        unitConfig = {
          Description = lib.mkDefault "Secrets Installed";
          DefaultDependencies = lib.mkDefault "no";
        };
      };

      warnings =
        lib.optionals units.regular (installation.lateWarning "sops-install-secrets" (lib.subtractLists (lib.optionals units.forUsers lateBefore.forUsers) lateBefore.all)
          "Services that start with the system may find no secrets yet, as with sops-nix.");
    })

    {
      systemd.services = lib.mkIf leftovers.regular {
        sops-remove-leftovers = installation.leftoversUnit (
          store
          // {
            name = "sops-remove-leftovers";
            description = "Remove secrets that are no longer declared";
            arguments = "${manifest}";
          }
        );
      };
    }

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
