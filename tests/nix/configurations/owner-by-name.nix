# An owner by the name of the user, which is not that of its attribute.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.app = {
    name = "real-name";
    isSystemUser = true;
    group = "app";
  };
  users.groups.app = {};
  sops.secrets.one.owner = "real-name";
}
