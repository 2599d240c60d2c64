# An owner where there are no users yet.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.app.group = "app";
  users.groups.app = {};
  sops.secrets.one = {
    neededForUsers = true;
    owner = "app";
  };
}
