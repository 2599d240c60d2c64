# Secrets on a Mac, as for sops-nix's module, and read by the rest of the configuration.
{
  config,
  lib,
  ...
}: {
  sops = {
    defaultSopsFile = ../../compat/files/values.yaml;
    defaultSopsFormat = "yaml";
    age.keyFile = "/var/lib/sops-nix/key.txt";
    age.generateKey = lib.mkForce true;
    gnupg.sshKeyPaths = lib.mkIf true [];
    environment.SOPS_AGE_KEY_CMD = "true";
    secrets.one = {owner = "alice";};
    secrets."two/three" = {};
    templates."app.conf".content = "password=${config.sops.placeholder.one}";
  };
  environment.etc = {
    one.text = config.sops.secrets.one.path;
    two.text = config.sops.secrets."two/three".path;
    template.text = config.sops.templates."app.conf".path;
    key.text = config.sops.age.keyFile;
    content.text = config.sops.templates."app.conf".content;
  };
  # Read, as the rest of a system reads them.
  warnings = map (file: file.text) (lib.attrValues config.environment.etc);
}
