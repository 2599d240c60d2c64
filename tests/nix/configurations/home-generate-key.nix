# A key that is made at login; its path has to be quoted.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/it's a key.txt";

  sops.age.generateKey = true;
  sops.secrets.one = {};
}
