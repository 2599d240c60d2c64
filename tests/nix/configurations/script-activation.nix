# Secrets from the activation script, although userborn would choose the unit.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  services.userborn.enable = true;
  sops.useSystemdActivation = false;
  sops.secrets.one = {};
}
