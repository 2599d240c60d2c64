# The only key is below /run/secrets.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.age.keyFile = "/run/secrets/key";
  sops.secrets.one = {};
}
