# The same as the default.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.defaultSopsFormat = "toml";
  sops.secrets.one = {};
}
