# The host key lies on a file system that is mounted late, as with an impermanent root. The secrets wait for that file system,
# and for nothing else.
{
  name = "sops-activate-late-mount";

  nodes.machine = {
    virtualisation.emptyDiskImages = [64 64];
    virtualisation.fileSystems = {
      "/persist" = {
        device = "/dev/vdb";
        fsType = "ext4";
        autoFormat = true;
      };
      # Mounted with local-fs.target, which needs a secret for it: a wait for that target would be a cycle.
      "/data" = {
        device = "/dev/vdc";
        fsType = "ext4";
        autoFormat = true;
        options = ["x-systemd.requires=sops-install-secrets.service"];
      };
    };

    sops = {
      useSystemdActivation = true;
      age.sshKeyPaths = ["/persist/ssh_host_ed25519_key"];
      gnupg.sshKeyPaths = [];
      secrets.api_key = {};
    };

    # Stands for the day on which the key was brought there.
    systemd.services.bring-key = {
      requiredBy = ["sops-install-secrets.service"];
      before = ["sops-install-secrets.service"];
      unitConfig = {
        DefaultDependencies = false;
        RequiresMountsFor = "/persist";
        ConditionPathExists = "!/persist/ssh_host_ed25519_key";
      };
      serviceConfig.Type = "oneshot";
      script = "install -m 0600 ${../../tests/fixtures/keys/sample_host_ed25519} /persist/ssh_host_ed25519_key";
    };
  };

  testScript = ''
    for boot in ["first", "second"]:
        with subtest(f"{boot} boot"):
            machine.start()
            machine.wait_for_unit("multi-user.target")
            machine.succeed("mountpoint /persist", "mountpoint /data")
            assert machine.succeed("cat /run/secrets/api_key") == "demo-7f3b9c2e51"
            assert machine.succeed("systemctl list-units --failed --no-legend --plain") == ""
            machine.fail("journalctl -b | grep -i 'ordering cycle'")
            order = machine.succeed(
                "systemctl show -P ActiveEnterTimestampMonotonic persist.mount sops-install-secrets.service data.mount"
            )
            times = [int(time) for time in order.split()]
            assert times == sorted(times) and times[0] > 0, order
            machine.shutdown()
  '';
}
