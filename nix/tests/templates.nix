# A template is rendered with its secrets, belongs to whom it is for, and is linked to where a program looks for it.
{
  name = "sops-activate-templates";

  nodes.machine = {config, ...}: {
    sops.secrets = {
      api_key = {};
      # Its placeholder is in the other manifest.
      "database/user".neededForUsers = true;
      "database/password" = {};
    };
    sops.templates."app.env" = {
      content = ''
        API_KEY=${config.sops.placeholder.api_key}
        TWICE=${config.sops.placeholder.api_key}${config.sops.placeholder."database/password"}
      '';
      owner = "app";
      group = "app";
      mode = "0440";
      path = "/var/lib/app/env";
    };
    users.users.app = {
      isSystemUser = true;
      group = "app";
    };
    users.groups.app = {};
  };

  testScript = ''
    machine.wait_for_unit("multi-user.target")
    expected = [
        "API_KEY=demo-7f3b9c2e51",
        "TWICE=demo-7f3b9c2e51not-a-real-password",
    ]
    assert machine.succeed("cat /var/lib/app/env").splitlines() == expected
    assert machine.succeed("readlink /var/lib/app/env") == "/run/secrets/rendered/app.env\n"
    assert machine.succeed("stat -L -c '%U %G %a' /var/lib/app/env") == "app app 440\n"
    assert machine.succeed("cat /run/secrets-for-users/database/user") == "app"
  '';
}
