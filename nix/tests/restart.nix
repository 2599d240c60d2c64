# A changed secret restarts or reloads the units that asked for it, and no other; so does a template that it is in.
{lib, ...}: {
  name = "sops-activate-restart";

  nodes = lib.genAttrs ["scripts" "units"] (name: {config, ...}: {
    sops.useSystemdActivation = name == "units";
    sops.secrets.changed = {
      key = lib.mkDefault "database/user";
      restartUnits = ["restarted.service"];
      reloadUnits = ["reloaded.service"];
    };
    sops.secrets.kept = {
      key = "api_key";
      restartUnits = ["untouched.service"];
    };
    sops.templates."app.conf" = {
      content = "user = ${config.sops.placeholder.changed}";
      restartUnits = ["templated.service"];
    };
    systemd.services =
      lib.genAttrs ["restarted" "templated" "untouched"] (_: {
        wantedBy = ["multi-user.target"];
        script = "exec sleep infinity";
      })
      // {
        reloaded = {
          wantedBy = ["multi-user.target"];
          script = "exec sleep infinity";
          reload = "touch /run/was-reloaded";
        };
      };
    specialisation.other.configuration.sops.secrets.changed.key = "database/password";
  });

  testScript = ''
    def invocation(machine, unit):
        return machine.succeed(f"systemctl show -P InvocationID {unit}.service")


    running = ["restarted", "templated", "untouched", "reloaded"]
    start_all()
    for machine in [scripts, units]:
        machine.wait_for_unit("multi-user.target")
        before = {unit: invocation(machine, unit) for unit in running}
        # Nothing is restarted because of secrets at boot.
        machine.fail("test -e /run/was-reloaded")

        machine.succeed("/run/booted-system/specialisation/other/bin/switch-to-configuration test")
        machine.wait_for_file("/run/was-reloaded")
        for unit in running:
            machine.wait_for_unit(f"{unit}.service")
        after = {unit: invocation(machine, unit) for unit in running}
        assert after["restarted"] != before["restarted"]
        assert after["templated"] != before["templated"]
        assert after["untouched"] == before["untouched"]
        assert after["reloaded"] == before["reloaded"]
        assert machine.succeed("cat /run/secrets/rendered/app.conf") == "user = not-a-real-password"
  '';
}
