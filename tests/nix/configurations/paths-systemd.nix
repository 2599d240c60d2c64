# Links at paths of one's own, from a unit.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.app = {
    isSystemUser = true;
    group = "app-group";
  };
  users.groups.app-group = {};
  sops.useSystemdActivation = true;
  sops.secrets.one = {
    path = "/srv/app/one.key";
    owner = "app";
  };
  sops.secrets.two.path = "/var/lib/app/keys/two";
  sops.templates.conf = {
    content = config.sops.placeholder.one;
    path = "/srv/conf/app.conf";
  };
}
