# Every setting of a user that is not the default.
{pkgs, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/.config/sops/age/keys.txt";

  sops.defaultSopsFormat = "json";
  sops.defaultSopsKey = "one";
  sops.defaultSymlinkPath = "/home/alice/secrets";
  sops.defaultSecretsMountPoint = "%r/my-secrets.d";
  sops.keepGenerations = 3;
  sops.log = ["keyImport"];
  sops.validateSopsFiles = false;
  sops.environment.TWO_WORDS = "it is 100% true";
  sops.age.plugins = [pkgs.age-plugin-yubikey];
  sops.secrets.plain.sopsFile = ../../compat/files/values.json;
  sops.secrets.linked = {
    sopsFile = ../../compat/files/values.json;
    key = "nested/deep";
    path = "%r/linked";
    mode = "0600";
  };
}
