# A template and no regular secret.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.neededForUsers = true;
  sops.templates.conf.content = "nothing secret\n";
}
