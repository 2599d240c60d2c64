# A service without a user of its own gets a secret and a template from systemd, and is restarted with new ones.
{lib, ...}: {
  name = "sops-activate-credentials";

  nodes.machine = {config, ...}: {
    sops.credentials.enable = true;
    sops.secrets."database/password" = {
      key = lib.mkDefault "database/password";
      credentialFor = ["api.service"];
    };
    sops.templates."api.conf" = {
      content = "password = ${config.sops.placeholder."database/password"}";
      credentialFor = ["api"];
    };
    systemd.services.api = {
      wantedBy = ["multi-user.target"];
      script = ''
        cat $CREDENTIALS_DIRECTORY/database-password "$CONFIG" > $RUNTIME_DIRECTORY/seen
        exec sleep infinity
      '';
      environment.CONFIG = "%d/api.conf";
      serviceConfig = {
        DynamicUser = true;
        RuntimeDirectory = "api";
      };
    };
    specialisation.other.configuration.sops.secrets."database/password".key = "api_key";
  };

  testScript = ''
    machine.wait_for_unit("multi-user.target")
    machine.wait_for_file("/run/api/seen")
    assert machine.succeed("cat /run/api/seen") == "not-a-real-passwordpassword = not-a-real-password"
    assert machine.succeed("stat -L -c '%U %a' /run/secrets/database/password") == "root 400\n"

    machine.succeed("/run/booted-system/specialisation/other/bin/switch-to-configuration test")
    machine.wait_until_succeeds("grep demo-7f3b9c2e51 /run/api/seen")
    assert machine.succeed("cat /run/api/seen") == "demo-7f3b9c2e51password = demo-7f3b9c2e51"
  '';
}
