# Owners, groups, numbers and modes.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.app = {
    isSystemUser = true;
    group = "app-group";
  };
  users.groups.app-group = {};
  sops.secrets.default.key = "one";
  sops.secrets.owner = {
    key = "one";
    owner = "app";
  };
  sops.secrets.owner-and-group = {
    key = "one";
    owner = "app";
    group = "keys";
    mode = "0440";
  };
  sops.secrets.group = {
    key = "one";
    group = "keys";
    mode = "440";
  };
  sops.secrets.numbers = {
    key = "one";
    uid = 1234;
    gid = 5678;
  };
}
