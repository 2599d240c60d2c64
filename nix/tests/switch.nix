# A switch adds, changes and removes secrets, the last one as well, tells which, and makes no new generation when there is nothing to
# change.
{lib, ...}: {
  name = "sops-activate-switch";

  nodes = lib.genAttrs ["scripts" "units"] (name: {
    sops.useSystemdActivation = name == "units";
    sops.secrets = {
      kept.key = "api_key";
      changed.key = lib.mkDefault "database/user";
      removed.key = "database/user";
      removed.path = "/var/lib/removed";
    };
    specialisation.other.configuration = {
      sops.secrets = lib.mkForce {
        kept.key = "api_key";
        changed.key = "database/password";
        added.key = "api_key";
      };
    };
    specialisation.none.configuration = {
      sops.secrets = lib.mkForce {};
      sops.removeLeftovers = true;
    };
  });

  testScript = ''
    other = "/run/booted-system/specialisation/other/bin/switch-to-configuration test"
    none = "/run/booted-system/specialisation/none/bin/switch-to-configuration test"
    back = "/run/booted-system/bin/switch-to-configuration test"


    def told(machine, command):
        """What was said of secrets: on the terminal by a script, in the journal by a unit."""
        before = machine.succeed("journalctl -b -o cat -u sops-install-secrets.service")
        said = machine.succeed(f"{command} 2>&1")
        after = machine.succeed("journalctl --sync; journalctl -b -o cat -u sops-install-secrets.service")
        lines = (said + after.removeprefix(before)).splitlines()
        return [line for line in lines if " secret: " in line or " secrets: " in line]


    def secrets(machine):
        return machine.succeed("cd /run/secrets && grep -r . | sort").splitlines()


    start_all()
    for machine in [scripts, units]:
        machine.wait_for_unit("multi-user.target")
        first = ["changed:app", "kept:demo-7f3b9c2e51", "removed:app"]
        assert secrets(machine) == first, secrets(machine)
        assert machine.succeed("cat /var/lib/removed") == "app"

        with subtest(f"to other secrets, {machine.name}"):
            said = told(machine, other)
            assert said == ["adding secret: added", "modifying secret: changed", "removing secret: removed"], said
            second = ["added:demo-7f3b9c2e51", "changed:not-a-real-password", "kept:demo-7f3b9c2e51"]
            assert secrets(machine) == second, secrets(machine)
            machine.fail("cat /var/lib/removed")

        with subtest(f"to the same, {machine.name}"):
            generation = machine.succeed("readlink /run/secrets")
            machine.succeed(other)
            assert machine.succeed("readlink /run/secrets") == generation

        with subtest(f"back, {machine.name}"):
            machine.succeed(back)
            assert secrets(machine) == first, secrets(machine)
            assert machine.succeed("cat /var/lib/removed") == "app"
            # Only the live generation is kept.
            assert len(machine.succeed("ls /run/secrets.d").split()) == 1

        with subtest(f"to none at all, {machine.name}"):
            machine.succeed(none)
            machine.succeed("test -z \"$(find /run/secrets/ -type f)\"")
            machine.fail("test -h /var/lib/removed")
            machine.fail("test -e /var/lib/sops-activate/run-secrets.d.json")
            machine.succeed("systemctl is-active sops-remove-leftovers.service")
  '';
}
