# Two owners of a template.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.app.group = "app";
  users.groups.app = {};
  sops.secrets.one = {};
  sops.templates.conf = {
    content = config.sops.placeholder.one;
    owner = "app";
    uid = 1000;
  };
}
