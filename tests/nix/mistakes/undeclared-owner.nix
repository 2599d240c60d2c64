# A typo in an owner, and no group.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.postgres = {
    isSystemUser = true;
    group = "postgres";
  };
  users.groups.postgres = {};
  sops.secrets.one.owner = "posgres";
  sops.secrets.two.owner = "brought-by-somebody-else";
}
