# Another system than Linux.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/.config/sops/age/keys.txt";

  sops.secrets.one = {};
}
