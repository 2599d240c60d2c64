# A virtual machine without keys.
{
  config,
  lib,
  ...
}: {
  options.virtualisation.diskImage = lib.mkOption {};
  config = {
    sops.defaultSopsFile = ../../compat/files/values.yaml;
    sops.testing.dummySecrets = true;
    sops.secrets.one = {};
    sops.secrets.two.neededForUsers = true;
    sops.templates.conf.content = config.sops.placeholder.one;
  };
}
