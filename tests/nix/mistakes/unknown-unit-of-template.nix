# The same of a template.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  sops.templates.conf = {
    content = config.sops.placeholder.one;
    reloadUnits = ["php-fpm.socket"];
  };
}
