# Links at paths of one's own.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.app = {
    isSystemUser = true;
    group = "app-group";
  };
  users.groups.app-group = {};
  sops.secrets.one = {
    path = "/etc/app/one.key";
    owner = "app";
  };
  sops.secrets.two.path = "/var/lib/app/keys/two";
  sops.secrets.three.path = "/run/secrets/three";
}
