# A template with a secret that is installed before the accounts.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.neededForUsers = true;
  sops.secrets.two = {};
  sops.templates.both.content = "${config.sops.placeholder.one} ${config.sops.placeholder.two}\n";
}
