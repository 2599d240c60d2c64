# A name of two lines.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.templates.conf.name = "a\nb";
  sops.secrets.one = {};
}
