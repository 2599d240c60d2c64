# Two secrets at one path.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/.config/sops/age/keys.txt";

  sops.secrets.one.path = "/home/alice/secret";
  sops.secrets.two.path = "/home/alice/secret";
}
