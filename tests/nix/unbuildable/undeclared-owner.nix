# A typo in an owner where all users are known. (sops-nix builds it, as a group is set.)
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.mutableUsers = false;
  users.users.postgres = {
    isSystemUser = true;
    group = "postgres";
  };
  users.groups.postgres = {};
  sops.secrets.one = {
    owner = "posgres";
    group = null;
  };
}
