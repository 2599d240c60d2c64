# JSON unless a secret says otherwise.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.defaultSopsFormat = "json";
  sops.secrets.one.sopsFile = ../../compat/files/values.json;
  sops.secrets.two = {
    format = "yaml";
  };
}
