# Two templates of one name that are in two places.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
  sops.templates.a = {
    name = "env";
    content = config.sops.placeholder.two;
    neededForUsers = true;
  };
  sops.templates.b = {
    name = "env";
    content = config.sops.placeholder.one;
  };
}
