# An owner that the machine may know, and the configuration does not.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.owner = "brought-by-somebody-else";
}
