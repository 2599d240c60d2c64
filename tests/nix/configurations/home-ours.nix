# What only we have, for a user.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/.config/sops/age/keys.txt";
  sops.onFailure = "abort";

  sops.secretGroups.numbers = {
    keys = ["one" "two"];
    restartUserUnits = ["mpd"];
  };
  sops.secrets.one = {
    path = "%r/program/one";
    installMode = "copy";
    trimTrailingNewline = true;
  };
  sops.secrets.dotenv = {
    format = "dotenv";
    sopsFile = ../../compat/files/values.env;
    extractKey = "ONE";
  };
  sops.templates.conf = {
    content = config.sops.placeholderJson.one;
    restartUserUnits = ["mpd.service"];
  };
}
