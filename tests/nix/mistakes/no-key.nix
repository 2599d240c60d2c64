# Nothing can open the secrets.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.secrets.one = {};
}
