# A keyring and an age key.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.gnupg.home = "/root/.gnupg";
  sops.age.keyFile = "/var/lib/key.txt";
  sops.secrets.one = {};
}
