# Activation scripts asked for where there are none.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.useSystemdActivation = false;
  sops.secrets.one = {};
}
