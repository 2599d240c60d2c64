# Permissions that are no octal number.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.mode = "u=r";
}
