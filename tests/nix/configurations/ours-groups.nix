# Secrets that have a file and all else in common, one of them with a field of its own.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.credentials.enable = true;
  services.openssh.enable = true;

  users.users.app = {
    isSystemUser = true;
    group = "app";
  };
  users.groups.app = {};
  systemd.services.app.script = "run";
  sops.secretGroups.plain.keys = ["one" "two"];
  sops.secretGroups.app = {
    sopsFile = ../../compat/files/values.yaml;
    format = "yaml";
    keys = ["inner/deep" "sibling"];
    prefix = "app/";
    keyPrefix = "nested/";
    owner = "app";
    group = "root";
    mode = "0440";
    restartUnits = ["app.service"];
    reloadUnits = ["app.service"];
    restartUserUnits = ["app.service"];
  };
  sops.secrets."app/sibling" = {
    mode = "0400";
    credentialFor = ["app.service"];
  };
  sops.secretGroups.environment = {
    sopsFile = ../../compat/files/values.env;
    format = "dotenv";
    prefix = "env-";
    keys = ["ONE" "TWO"];
  };
}
