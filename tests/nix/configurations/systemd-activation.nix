# Secrets from a unit.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.useSystemdActivation = true;
  sops.secrets.one = {};
}
