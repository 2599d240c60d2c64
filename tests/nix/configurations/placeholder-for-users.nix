# A template beside a secret that is installed before the accounts: its placeholder is in the manifest, and it is not.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.neededForUsers = true;
  sops.secrets.two = {};
  sops.templates.conf.content = "${config.sops.placeholder.two}\n";
}
