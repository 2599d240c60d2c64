# Activation scripts asked for where none is run.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  system.nixos-init.enable = true;
  sops.useSystemdActivation = false;
  sops.secrets.one = {};
}
