# A unit brings the key. Where it has default dependencies, the secrets come after it, late, and without an ordering cycle; where it gives
# them up, the secrets come before any service.
{lib, ...}: {
  name = "sops-activate-late-unit";

  nodes = lib.genAttrs ["early" "late"] (name: {
    sops = {
      useSystemdActivation = true;
      age.sshKeyPaths = ["/run/keys-of-mine/host"];
      gnupg.sshKeyPaths = [];
      secrets.api_key = {};
    };
    systemd.services = {
      fetch-key = {
        wantedBy = ["sops-install-secrets.service"];
        before = ["sops-install-secrets.service"];
        unitConfig.DefaultDependencies = name == "late";
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
        };
        script = "install -D -m 0600 ${../../tests/fixtures/keys/sample_host_ed25519} /run/keys-of-mine/host";
      };
      # Late secrets are meant.
      sops-install-secrets.unitConfig = lib.mkIf (name == "late") {DefaultDependencies = true;};
    };
  });

  testScript = ''
    start_all()
    for machine in [early, late]:
        with subtest(f"the secret is there, {machine.name}"):
            machine.wait_for_unit("multi-user.target")
            machine.wait_for_unit("sops-secrets.target")
            assert machine.succeed("cat /run/secrets/api_key") == "demo-7f3b9c2e51"
            assert machine.succeed("systemctl list-units --failed --no-legend --plain") == ""
            machine.fail("journalctl -b | grep -i 'ordering cycle'")

    with subtest("early means before sysinit.target, and late after it"):
        for machine, first in [(early, "sops-install-secrets.service"), (late, "sysinit.target")]:
            order = machine.succeed(
                "systemctl show -P ActiveEnterTimestampMonotonic sops-install-secrets.service sysinit.target"
            )
            installed, sysinit = [int(time) for time in order.split()]
            assert 0 < installed and 0 < sysinit, order
            assert (installed < sysinit) == (first == "sops-install-secrets.service"), order
  '';
}
