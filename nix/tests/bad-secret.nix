# A secret that this machine cannot open keeps no other secret away, fails the unit, and keeps back only what asked for all.
{lib, ...}: {
  name = "sops-activate-bad-secret";

  nodes = lib.genAttrs ["scripts" "units"] (name: {
    sops.useSystemdActivation = name == "units";
    sops.secrets = {
      api_key = {};
      # A file for other machines.
      api.sopsFile = ../../tests/fixtures/recipients/only-strangers.yaml;
    };
    systemd.services = {
      with-what-there-is = {
        wantedBy = ["multi-user.target"];
        wants = ["sops-secrets.target"];
        after = ["sops-secrets.target"];
        script = "exec sleep infinity";
      };
      with-all-secrets = {
        wantedBy = ["multi-user.target"];
        requires = ["sops-secrets.target"];
        after = ["sops-secrets.target"];
        script = "exec sleep infinity";
      };
    };
  });

  testScript = ''
    start_all()
    for machine in [scripts, units]:
        with subtest(f"the good secret is there, {machine.name}"):
            machine.wait_for_unit("multi-user.target")
            assert machine.succeed("cat /run/secrets/api_key") == "demo-7f3b9c2e51"
            machine.fail("test -e /run/secrets/api")
            machine.succeed("systemctl is-active with-what-there-is.service")

    with subtest("the unit failed, and said why"):
        units.succeed("systemctl is-failed sops-install-secrets.service")
        said = units.succeed("journalctl -b -o cat -u sops-install-secrets.service")
        assert "only-strangers.yaml" in said, said
        assert "no key on this machine opens it" in said, said
        assert "demo-7f3b9c2e51" not in said, said

    with subtest("what requires all secrets does not start without one"):
        units.fail("systemctl is-active with-all-secrets.service")

    with subtest("a switch fails, too, and changes nothing that is good"):
        scripts.fail("/run/booted-system/bin/switch-to-configuration test")
        assert scripts.succeed("cat /run/secrets/api_key") == "demo-7f3b9c2e51"
  '';
}
