# What systemd takes away from the units of both modules, and from which. docs/reference/hardening.md has what comes of it, and what is
# left out on purpose: nothing here may make a mount namespace, because secrets are mounted for the whole machine, and nothing may cost
# a boot its secrets.
#
# All are defaults: what a configuration says of the same setting counts instead.
{
  lib,
  sops,
  # The configuration's own definitions of a unit: see definitions.nix.
  definitionsOf,
  # What the units get to see besides what they say themselves.
  inherited ? {},
}: let
  # Programs that somebody chose are asked for keys: plugins, gpg in a home of its own, commands. Nothing is known of what these need:
  # set-id wrappers, user namespaces, 32 bits, kernel modules, families of sockets, modes by the umask.
  asksPrograms = unit: let
    variables = inherited // sops.environment;
    named = name: variables ? ${name} || lib.elem name ((definitionsOf unit).names ["environment"]);
  in
    sops.age.plugins
    != []
    || sops.gnupg.home != null
    || (variables ? SOPS_GPG_EXEC && variables.SOPS_GPG_EXEC != ownGpg)
    || lib.any named ["SOPS_AGE_KEY_CMD" "SOPS_AGE_SSH_PRIVATE_KEY_CMD" "GNUPGHOME" "PATH"];
  # The default where there are RSA host keys; the program reads these without gpg.
  ownGpg = "${sops.gnupg.package}/bin/gpg";

  # Whether the configuration adds steps or variables to a unit. Such steps may need any right, so the unit is not restricted.
  hasAdditions = unit: let
    said = definitionsOf unit;
    isStep = setting: lib.hasPrefix "Exec" setting || lib.elem setting ["Environment" "EnvironmentFile" "PassEnvironment"];
  in
    said.opaque
    || lib.any (name: lib.elem name (said.names [])) ["confinement" "path" "postStart" "postStop" "preStart" "preStop" "reload" "script"]
    || lib.any isStep (said.names ["serviceConfig"] ++ said.names ["Service"]);

  # What no program that keeps keys can miss. For a unit of the system, none of these implies NoNewPrivileges=.
  anyProgram = {
    LockPersonality = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    # What the program itself has in memory is locked; a plugin's or gpg's is not.
    MemorySwapMax = 0;
  };

  # Where only this program, `systemctl` and what makes a key are run. A list of what is denied: of what is allowed, one call that a
  # library comes to use some day would be missing, in the middle of a boot.
  ownPrograms =
    anyProgram
    // {
      NoNewPrivileges = true;
      MemoryDenyWriteExecute = true;
      RestrictNamespaces = true;
      SystemCallArchitectures = "native";
      SystemCallFilter = "~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap";
      # Otherwise such a call ends the program, and what it was about to do with a failure, such as to say so, is not done.
      SystemCallErrorNumber = "EPERM";
    };

  # The program itself, as root.
  ownInstaller =
    ownPrograms
    // {
      CapabilityBoundingSet = lib.concatStringsSep " " [
        # The mount.
        "CAP_SYS_ADMIN"
        # Owners and modes of secrets, links and copies.
        "CAP_CHOWN"
        "CAP_FOWNER"
        "CAP_FSETID"
        # Keys, and directories of links, that belong to others.
        "CAP_DAC_OVERRIDE"
        "CAP_DAC_READ_SEARCH"
        # The managers of users are told by programs that are that user, and killed when they hang.
        "CAP_SETGID"
        "CAP_SETUID"
        "CAP_KILL"
        # No limit to the memory that is locked.
        "CAP_IPC_LOCK"
      ];
      # systemd's sockets; and owners are looked up by whatever the machine has for that, a directory server included.
      RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
      # What the program makes has the modes that it is to have; so this is for what a library would.
      UMask = "0077";
    };

  # Hardening defaults of a unit; none for a unit with additions.
  takenFrom = unit: settings: lib.mapAttrs (_: lib.mkDefault) (lib.optionalAttrs (!hasAdditions unit) settings);
in {
  # Installs secrets.
  installer = unit:
    takenFrom unit (
      if asksPrograms unit
      then anyProgram
      else ownInstaller
    );

  # Removes what was installed; asks no program for a key.
  remover = unit: takenFrom unit ownInstaller;

  # Makes a key. No UMask=: the directories of a key that are missing may be those of others, too.
  generator = unit:
    takenFrom unit (
      ownPrograms
      // {
        CapabilityBoundingSet = "CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER";
        # A shell looks up the user that runs it.
        RestrictAddressFamilies = "AF_UNIX";
      }
    );

  # Starts units by systemctl. From root, systemd accepts such requests only with CAP_SYS_ADMIN.
  check = unit:
    takenFrom unit (
      ownPrograms
      // {
        CapabilityBoundingSet = "CAP_SYS_ADMIN";
        RestrictAddressFamilies = "AF_UNIX";
      }
    );

  # As a user. There every setting but the last of `anyProgram` implies NoNewPrivileges=. gpg may be run without being named here, by
  # the user's own home, and leave behind an agent for the whole session: so that and its pinentry may still make namespaces and code.
  user = unit:
    takenFrom unit (
      if asksPrograms unit
      then {inherit (anyProgram) MemorySwapMax;}
      else
        removeAttrs ownPrograms ["MemoryDenyWriteExecute" "RestrictNamespaces"]
        // {inherit (ownInstaller) RestrictAddressFamilies;}
    );
}
