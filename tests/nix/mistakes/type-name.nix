# A slip of the pen in the name of an option.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.ownr = "app";
}
