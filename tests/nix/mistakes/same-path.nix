# A secret and a template at one path.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.path = "/etc/app.conf";
  sops.templates.conf.path = "/etc/app.conf";
}
