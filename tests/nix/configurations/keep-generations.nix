# Every generation is kept.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.keepGenerations = 0;
  sops.secrets.one = {};
}
