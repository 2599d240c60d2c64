# Two owners of a secret.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.app.group = "app";
  users.groups.app = {};
  sops.secrets.one = {
    owner = "app";
    uid = 1000;
  };
}
