# A template that is there before the users are, beside a regular one.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  services.userborn.enable = true;
  sops.secrets.one.neededForUsers = true;
  sops.secrets.two = {};
  sops.templates.login = {
    content = "password=${config.sops.placeholder.one}";
    neededForUsers = true;
  };
  sops.templates.conf.content = config.sops.placeholder.two;
}
