# A password that is said to have an owner, which it cannot have yet.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.app = {
    isSystemUser = true;
    group = "app";
  };
  users.groups.app = {};
  sops.secrets.one = {
    neededForUsers = true;
    owner = "app";
  };
  sops.secrets.two = {
    neededForUsers = true;
    group = "wheel";
  };
}
