# The same of the default file.
{
  sops.defaultSopsFile = ./missing.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
}
