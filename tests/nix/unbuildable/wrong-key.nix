# A slip of the pen in a key, which no evaluation can see.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  sops.secrets."database/password".key = "nested/deeper";
}
