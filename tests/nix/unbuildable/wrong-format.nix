# A dotenv file that is read as YAML, because nothing says otherwise.
{
  sops.defaultSopsFile = ../../compat/files/values.env;
  services.openssh.enable = true;

  sops.secrets.one = {};
}
