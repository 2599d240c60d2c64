# Nothing but a template that is needed for users, without a secret in it.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.templates.login = {
    content = "nothing secret";
    neededForUsers = true;
  };
}
