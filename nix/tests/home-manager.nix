# A user's secrets: installed when the user's systemd starts, in the user's runtime directory, and with the next activation.
home-manager: {
  name = "sops-activate-home-manager";

  nodes.machine = {
    imports = [(home-manager + "/nixos")];
    users.users.alice = {
      isNormalUser = true;
      uid = 1000;
      # The user's systemd runs without a login.
      linger = true;
    };
    # The user's own key, which is a throw-away key of the tests.
    systemd.tmpfiles.rules = [
      "d /home/alice/.ssh 0700 alice users"
      "C /home/alice/.ssh/id_ed25519 0400 alice users - ${../../tests/fixtures/keys/sample_host_ed25519}"
    ];

    home-manager.users.alice = {config, ...}: {
      imports = [../home-manager];
      home.stateVersion = "26.05";
      sops = {
        defaultSopsFile = ../../tests/fixtures/sample/secrets.yaml;
        age.sshKeyPaths = ["/home/alice/.ssh/id_ed25519"];
        secrets.api_key = {};
        secrets."database/password".path = "${config.home.homeDirectory}/password";
        templates."app.env".content = "KEY=${config.sops.placeholder.api_key}";
      };
    };
  };

  testScript = ''
    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("sops-nix.service", user="alice")
    secrets = "/home/alice/.config/sops-nix/secrets"
    assert machine.succeed(f"cat {secrets}/api_key") == "demo-7f3b9c2e51"
    assert machine.succeed("cat /home/alice/password") == "not-a-real-password"
    assert machine.succeed(f"cat {secrets}/rendered/app.env") == "KEY=demo-7f3b9c2e51"
    assert machine.succeed(f"stat -L -c '%U %a' {secrets}/api_key") == "alice 400\n"
    assert machine.succeed(f"readlink {secrets}").startswith("/run/user/1000/secrets.d/")

    with subtest("a restart changes nothing that is the same"):
        generation = machine.succeed(f"readlink {secrets}")
        machine.succeed("systemctl --user --machine=alice@ restart sops-nix.service")
        assert machine.succeed(f"readlink {secrets}") == generation
  '';
}
