{
  config,
  pkgs,
  ...
}: {
  networking.hostName = "server";
  system.stateVersion = "26.05";

  # The server's SSH host key opens its secrets.
  services.openssh.enable = true;

  sops.defaultSopsFile = ./secrets/secrets.yaml;

  # The key `api-key` of that file, at /run/secrets/api-key.
  sops.secrets.api-key = {
    owner = "app";
    restartUnits = ["app.service"];
  };

  # A file with a secret in it, at config.sops.templates."app.env".path.
  sops.templates."app.env" = {
    content = "API_KEY=${config.sops.placeholder.api-key}";
    owner = "app";
    restartUnits = ["app.service"];
  };

  users.users.app = {
    isSystemUser = true;
    group = "app";
  };
  users.groups.app = {};

  systemd.services.app = {
    wantedBy = ["multi-user.target"];
    serviceConfig = {
      User = "app";
      EnvironmentFile = config.sops.templates."app.env".path;
      # Your program.
      ExecStart = "${pkgs.coreutils}/bin/sleep infinity";
    };
  };
}
