# Names of every kind that a file can have.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets."nested/inner" = {};
  sops.secrets.renamed = {
    name = "other/name with spaces";
    key = "one";
  };
  sops.secrets."ünï-code".key = "two";
}
