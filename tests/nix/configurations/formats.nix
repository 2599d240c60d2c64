# A file of each format.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  sops.secrets.whole = {
    key = "";
  };
  sops.secrets.json = {
    format = "json";
    sopsFile = ../../compat/files/values.json;
    key = "nested/deep";
  };
  sops.secrets.binary = {
    format = "binary";
    sopsFile = ../../compat/files/values.bin;
  };
  sops.secrets.dotenv = {
    format = "dotenv";
    sopsFile = ../../compat/files/values.env;
  };
  sops.secrets.ini = {
    format = "ini";
    sopsFile = ../../compat/files/values.ini;
  };
}
