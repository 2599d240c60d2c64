# An owner by number where there are no users yet.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {
    neededForUsers = true;
    uid = 1000;
  };
}
