# A key to be made nowhere.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.age.generateKey = true;
  sops.secrets.one = {};
}
