# Secrets and templates that are needed for users: installed before any user exists, for password files.
{
  config,
  lib,
  options,
  pkgs,
  ...
}: let
  installation = import ./installation.nix {inherit config lib options pkgs;};
  inherit (installation) leftovers machine scripts secretsForUsers templatesForUsers units;

  store = {
    mountPoint = "/run/secrets-for-users.d";
    symlinkPath = "/run/secrets-for-users";
  };
  manifest = installation.manifest (
    store
    // {
      name = "manifest-for-users";
      secrets = secretsForUsers;
      templates = templatesForUsers;
    }
  );
  late = installation.lateBefore.forUsers;
  isEarly = late == [] && !installation.isOrdinary "sops-install-secrets-for-users";
  # No user can be looked up yet: all files belong to root.
  arguments = "-ignore-passwd ${manifest}";
in {
  config = lib.mkMerge [
    (lib.optionalAttrs (options ? system.build) {system.build.sops-nix-users-manifest = manifest;})

    {
      systemd.services = lib.mkIf units.forUsers (lib.mkMerge [
        {
          sops-install-secrets-for-users = lib.mkMerge [
            (installation.unit {
              name = "sops-install-secrets-for-users";
              description = "Install secrets that are needed for users";
              inherit arguments;
            })
            {
              # Both names of the unit that makes the users: NixOS makes one an alias of the other, system-manager does not.
              wantedBy = installation.systemTargets ++ ["systemd-sysusers.service" "userborn.service"];
              # A switch starts it again by way of this target, so that a new password counts from then on.
              requiredBy = ["sysinit-reactivation.target"];
              before =
                # At a switch, in time for userborn, which belongs to it as well.
                ["sysinit-reactivation.target"]
                # The first two read the password files. If a late unit precedes this one, this order would close a cycle, and systemd
                # would delete one of the jobs.
                ++ lib.optionals isEarly ["systemd-sysusers.service" "userborn.service" "sysinit.target"];
              # No RequiresMountsFor= for the keys. Device nodes, and with them all mounts, come after the users
              # (systemd-tmpfiles-setup-dev.service, local-fs-pre.target), so a mount that is not there from the initrd cannot be
              # waited for; and one that is would still be part of a cycle at shutdown, where all of this is stopped in reverse. A
              # warning asks for `neededForBoot` instead. No WantsMountsFor= for the list of links either, for the same reason: it
              # orders as well. NixOS mounts /var/lib in the initrd, so only a file system of its own below that is missing here.
            }
          ];
        }
        # A new password is in the file, whose name userborn knows, so userborn sees no change of its own.
        (lib.mkIf machine.userborn {userborn.restartTriggers = ["${manifest}"];})
      ]);
    }

    {
      warnings =
        lib.optionals (units.forUsers && !machine.foreign) (installation.lateWarning "sops-install-secrets-for-users" late
          "Users are made before that, so a password that has changed counts from the next switch on; and services may find no secrets yet.");
    }

    {
      systemd.services = lib.mkIf leftovers.forUsers {
        sops-remove-leftovers-for-users = installation.leftoversUnit (
          store
          // {
            name = "sops-remove-leftovers-for-users";
            description = "Remove secrets for users that are no longer declared";
            inherit arguments;
          }
        );
      };
    }

    (lib.optionalAttrs machine.hasActivationScripts {
      system.activationScripts = lib.mkIf scripts.forUsers (
        {
          setupSecretsForUsers = installation.script {
            greeting = "setting up secrets for users...";
            inherit arguments;
            # /run is there.
            deps = ["specialfs"];
          };
        }
        # The script that makes users reads the password files. Where a unit makes them, there need not be one.
        // lib.optionalAttrs (!machine.usersByUnit) {users.deps = ["setupSecretsForUsers"];}
      );
    })
  ];
}
