# The whole file unless a secret names a key.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.defaultSopsKey = "";
  sops.secrets.everything = {};
  sops.secrets.just-one.key = "one";
}
