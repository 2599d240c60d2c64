# A secret whose file is not called like its attribute.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/key.txt";

  sops.secrets.one.name = "first";
}
