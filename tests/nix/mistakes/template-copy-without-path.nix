# A copy of a template among the secrets.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.templates.conf = {
    content = "x";
    path = "/run/secrets/conf";
    installMode = "copy";
  };
}
