# A group by number, beside the one that comes with the owner.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.app.group = "app";
  users.groups.app = {};
  sops.secrets.one = {
    owner = "app";
    gid = 1000;
  };
}
