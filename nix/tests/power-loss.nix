# The age key of the machine is generated once; an empty file, as a power cut can leave it, is replaced; a good key never is.
{lib, ...}: {
  name = "sops-activate-power-loss";

  nodes = lib.genAttrs ["scripts" "units"] (name: {pkgs, ...}: {
    environment.systemPackages = [pkgs.age];
    sops = {
      useSystemdActivation = name == "units";
      age.keyFile = "/var/lib/sops/key.txt";
      age.generateKey = true;
      secrets.api_key = {};
    };
  });

  testScript = ''
    key = "/var/lib/sops/key.txt"


    def recipient(machine):
        """The public side; fails when the key is not whole."""
        machine.wait_for_unit("multi-user.target")
        assert machine.succeed("cat /run/secrets/api_key") == "demo-7f3b9c2e51"
        assert machine.succeed(f"stat -c '%U %a' {key}") == "root 600\n"
        return machine.succeed(f"age-keygen -y {key}")


    def power_cut(machine):
        machine.crash()
        machine.start()


    start_all()
    for machine in [scripts, units]:
        first = recipient(machine)

        with subtest(f"a good key stays, {machine.name}"):
            power_cut(machine)
            assert recipient(machine) == first

        with subtest(f"an empty file is replaced, {machine.name}"):
            machine.succeed(f": > {key}", "sync")
            power_cut(machine)
            second = recipient(machine)
            assert second != first

        with subtest(f"a key survives a power cut right after the boot that made it, {machine.name}"):
            machine.succeed(f"rm {key}", "sync")
            power_cut(machine)
            third = recipient(machine)
            power_cut(machine)
            assert recipient(machine) == third

    with subtest("cut while it is generated"):
        units.succeed(f"rm {key}", "sync")
        units.execute("systemctl start --no-block sops-generate-age-key.service")
        power_cut(units)
        # Whether the key of before the cut was already there or not: it is whole.
        recipient(units)
  '';
}
