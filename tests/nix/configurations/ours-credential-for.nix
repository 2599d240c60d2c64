# Secrets and a template as credentials; an owner that is taken from the very service is no infinite recursion.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.credentials.enable = true;
  services.openssh.enable = true;

  users.users.api = {
    isSystemUser = true;
    group = "api";
  };
  users.groups.api = {};
  systemd.services.api.serviceConfig = {
    ExecStart = "/bin/api";
    User = "api";
    LoadCredential = ["other:/etc/other"];
  };
  systemd.services.worker.script = "work";
  sops.secrets."one" = {
    owner = config.systemd.services.api.serviceConfig.User;
    credentialFor = ["api.service"];
  };
  sops.secrets."nested/inner/deep" = {
    credentialFor = ["api" "worker"];
    restartUnits = ["worker.service"];
  };
  sops.secrets.two = {
    name = "50%: two";
    neededForUsers = true;
    credentialFor = ["worker.service"];
  };
  sops.templates."worker.conf" = {
    content = config.sops.placeholder.one;
    path = "/etc/worker.conf";
    credentialFor = ["worker"];
  };
}
