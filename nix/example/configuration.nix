# A server with secrets. Each of them belongs to whom it is for, and what uses it is restarted when it changes.
{
  config,
  pkgs,
  ...
}: {
  networking.hostName = "example-server";
  system.stateVersion = "26.05";

  # Its host key opens the secrets; `.sops.yaml` names it.
  services.openssh.enable = true;

  sops.defaultSopsFile = ./secrets/secrets.yaml;

  sops.secrets = {
    # An API key, for one service alone: /run/secrets/api-key.
    api-key = {
      owner = "api";
      group = "api";
      mode = "0400";
      restartUnits = ["api.service"];
    };

    # A password that two services read. `/` leads into the nested key of the file.
    "database/password" = {
      owner = "api";
      group = "database";
      mode = "0440";
      restartUnits = [
        "api.service"
        "backup.service"
      ];
    };

    # An SSH private key, where the program that uses it looks for it.
    "backup/ssh-key" = {
      owner = "backup";
      group = "backup";
      mode = "0400";
      path = "/var/lib/backup/.ssh/id_ed25519";
      restartUnits = ["backup.service"];
    };

    # The hash of a login password. Users are made from it, so it is there before them, and is root's.
    "users/admin".neededForUsers = true;
  };

  # A file of the service's own format, with secrets in it.
  sops.templates."api.env" = {
    content = ''
      API_KEY=${config.sops.placeholder.api-key}
      DATABASE_URL=postgresql://api:${config.sops.placeholder."database/password"}@localhost/api
    '';
    owner = "api";
    group = "api";
    mode = "0400";
    restartUnits = ["api.service"];
  };

  users.users = {
    admin = {
      isNormalUser = true;
      extraGroups = ["wheel"];
      hashedPasswordFile = config.sops.secrets."users/admin".path;
    };
    api = {
      isSystemUser = true;
      group = "api";
      extraGroups = ["database"];
    };
    backup = {
      isSystemUser = true;
      group = "backup";
      extraGroups = ["database"];
      home = "/var/lib/backup";
      createHome = true;
    };
  };
  users.groups = {
    api = {};
    backup = {};
    database = {};
  };

  # `sleep` stands for your programs.
  systemd.services.api = {
    description = "The API";
    wantedBy = ["multi-user.target"];
    serviceConfig = {
      User = "api";
      EnvironmentFile = config.sops.templates."api.env".path;
      ExecStart = "${pkgs.coreutils}/bin/sleep infinity";
    };
  };
  systemd.services.backup = {
    description = "The backup";
    wantedBy = ["multi-user.target"];
    serviceConfig = {
      User = "backup";
      ExecStart = "${pkgs.coreutils}/bin/sleep infinity";
    };
  };
}
