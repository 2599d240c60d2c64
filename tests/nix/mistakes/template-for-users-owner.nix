# An owner before there are users.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.templates.login = {
    content = "x";
    owner = "alice";
    neededForUsers = true;
  };
}
