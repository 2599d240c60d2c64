# A hash that is not for people to set.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.sopsFileHash = "0";
}
