# A typo in a group, and in an owner that has a group.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.postgres = {
    isSystemUser = true;
    group = "postgres";
  };
  users.groups.postgres = {};
  sops.secrets.one.group = "whel";
  sops.secrets.two = {
    owner = "posgres";
    group = "postgres";
  };
}
