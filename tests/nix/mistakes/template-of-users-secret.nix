# A template with a secret that was installed before.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.neededForUsers = true;
  sops.templates.conf.content = config.sops.placeholder.one;
}
