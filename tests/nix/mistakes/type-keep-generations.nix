# Less than no generation.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.keepGenerations = -1;
  sops.secrets.one = {};
}
