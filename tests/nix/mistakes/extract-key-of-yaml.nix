# `extractKey` where `key` is meant, and where there is only one value.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.extractKey = "two";
  sops.secrets.binary = {
    sopsFile = ../../compat/files/values.bin;
    format = "binary";
    extractKey = "two";
  };
}
