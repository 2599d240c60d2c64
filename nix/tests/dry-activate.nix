# A dry activation tells what would change and which units would be restarted, and leaves everything as it is. Where units install
# the secrets it tells of the unit alone: none is run.
{lib, ...}: {
  name = "sops-activate-dry-activate";

  nodes = lib.genAttrs ["scripts" "units"] (name: {
    sops.useSystemdActivation = name == "units";
    sops.secrets.changed = {
      key = lib.mkDefault "database/user";
      restartUnits = ["consumer.service"];
    };
    systemd.services.consumer = {
      wantedBy = ["multi-user.target"];
      script = "exec sleep infinity";
    };
    specialisation.other.configuration = {
      sops.secrets.changed.key = "database/password";
      sops.secrets.added.key = "api_key";
    };
  });

  testScript = ''
    switch = "/run/booted-system/specialisation/other/bin/switch-to-configuration"
    state = "readlink /run/secrets; ls -R --full-time /run/secrets.d; systemctl show -P InvocationID consumer.service"

    start_all()
    for machine in [scripts, units]:
        machine.wait_for_unit("multi-user.target")
        machine.wait_for_unit("consumer.service")
        before = machine.succeed(state)

        said = machine.succeed(f"{switch} dry-activate 2>&1")
        assert machine.succeed(state) == before
        if machine == scripts:
            assert "would add secret: added\n" in said, said
            assert "would modify secret: changed\n" in said, said
            assert "consumer.service" in said, said

        machine.succeed(f"{switch} test")
        assert machine.succeed("cat /run/secrets/changed") == "not-a-real-password"
        assert machine.succeed(state) != before
  '';
}
