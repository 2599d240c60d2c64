# A copy in a home.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/.config/sops/age/keys.txt";
  sops.secrets.one = {
    path = "/home/alice/.config/program/key";
    installMode = "copy";
  };
}
