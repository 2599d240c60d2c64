# A user's password comes from a secret, whatever makes the users; and changes with it where passwords can change.
kind: {lib, ...}: let
  accounts = {
    classic = {
      users.mutableUsers = false;
      users.users.alice.isNormalUser = true;
    };
    # It makes system users only, and sets a password when it makes a user, never again.
    sysusers = {
      boot.initrd.systemd.enable = true;
      system.etc.overlay.enable = true;
      systemd.sysusers.enable = true;
      users.users.alice = {
        isSystemUser = true;
        group = "users";
      };
    };
    userborn = {
      services.userborn.enable = true;
      users.mutableUsers = false;
      users.users.alice.isNormalUser = true;
    };
  };
in {
  name = "sops-activate-users-${kind}";

  nodes.machine = {config, ...}: {
    imports = [accounts.${kind}];

    sops.secrets.password = {
      key = lib.mkDefault "api_key";
      neededForUsers = true;
    };
    users.users.alice.hashedPasswordFile = config.sops.secrets.password.path;
    # Installed in the same boot, after the users: it belongs to one of them.
    sops.secrets."database/password".owner = "alice";

    specialisation.other.configuration.sops.secrets.password.key = "database/password";
  };

  testScript =
    ''
      def password():
          return machine.succeed("getent shadow alice").split(":")[1]


      machine.wait_for_unit("multi-user.target")
      # No hash; what is in the file is put there as it is.
      assert password() == "demo-7f3b9c2e51", password()
      assert machine.succeed("stat -L -c '%U %G %a' /run/secrets-for-users/password") == "root root 400\n"
      assert machine.succeed("stat -L -c %U /run/secrets/database/password") == "alice\n"
      assert machine.succeed("systemctl list-units --failed --no-legend --plain") == ""
    ''
    + lib.optionalString (kind != "sysusers") ''

      machine.succeed("/run/booted-system/specialisation/other/bin/switch-to-configuration test")
      assert password() == "not-a-real-password", password()
      assert machine.succeed("stat -L -c %U /run/secrets/database/password") == "alice\n"
    '';
}
