# The only key is installed with the secrets.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.age.keyFile = "/var/lib/keys/age.txt";
  sops.secrets.one.path = "/var/lib/keys";
}
