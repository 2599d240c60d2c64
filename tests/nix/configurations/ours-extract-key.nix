# One value of a file of lines.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.dotenv = {
    format = "dotenv";
    sopsFile = ../../compat/files/values.env;
    extractKey = "ONE";
  };
  sops.secrets.ini = {
    format = "ini";
    sopsFile = ../../compat/files/values.ini;
    extractKey = "first/one";
    trimTrailingNewline = true;
  };
}
