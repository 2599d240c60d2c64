# At boot, secrets are in place before anything that may need them, with owner, group and mode, in memory.
{lib, ...}: {
  name = "sops-activate-boot";

  nodes = lib.genAttrs ["scripts" "units"] (name: {
    sops.useSystemdActivation = name == "units";
    sops.secrets = {
      api_key = {
        owner = "app";
        group = "readers";
        mode = "0440";
      };
      "database/password".path = "/var/lib/app/password";
    };
    users.users.app = {
      isSystemUser = true;
      group = "app";
    };
    users.groups = {
      app = {};
      readers = {};
    };

    # Ordered after nothing but what every service is.
    systemd.services.consumer = {
      wantedBy = ["multi-user.target"];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        User = "app";
        ExecStart = "/bin/sh -c 'exec < /run/secrets/api_key'";
      };
    };
  });

  testScript = ''
    def check(machine):
        machine.wait_for_unit("multi-user.target")
        machine.succeed("systemctl is-active consumer.service")
        assert machine.succeed("cat /run/secrets/api_key") == "demo-7f3b9c2e51"
        assert machine.succeed("cat /var/lib/app/password") == "not-a-real-password"
        assert machine.succeed("readlink /var/lib/app/password") == "/run/secrets/database/password\n"
        assert machine.succeed("stat -L -c '%U %G %a' /run/secrets/api_key") == "app readers 440\n"
        assert machine.succeed("stat -L -c '%U %G %a' /run/secrets/database/password") == "root root 400\n"
        assert machine.succeed("findmnt -n -o FSTYPE /run/secrets.d") == "ramfs\n"
        assert machine.succeed("systemctl list-units --failed --no-legend --plain") == ""


    start_all()
    for machine in [scripts, units]:
        with subtest(f"first boot, {machine.name}"):
            check(machine)

        with subtest(f"second boot, {machine.name}"):
            machine.shutdown()
            machine.start()
            check(machine)

    with subtest("the unit is done before sysinit.target is reached"):
        times = units.succeed(
            "systemctl show -P ActiveEnterTimestampMonotonic sops-install-secrets.service sysinit.target"
        )
        installed, reached = [int(time) for time in times.split()]
        assert 0 < installed <= reached, times

    with subtest("the shutdown broke no ordering cycle"):
        for machine in [scripts, units]:
            machine.fail("journalctl -b -1 | grep -i 'ordering cycle'")
            machine.fail("journalctl -b 0 | grep -i 'ordering cycle'")
  '';
}
