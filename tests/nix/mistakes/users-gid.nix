# A group where there are no groups yet.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {
    neededForUsers = true;
    gid = 100;
  };
}
