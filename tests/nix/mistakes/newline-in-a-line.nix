# The newline of a binary file in the midst of a line.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.token = {
    sopsFile = ../../compat/files/values.bin;
    format = "binary";
  };
  sops.templates.conf.content = "token = '${config.sops.placeholder.token}'";
}
