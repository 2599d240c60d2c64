# A template that is rendered before its secrets are there, quoted or not.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  sops.secrets.two = {};
  sops.templates.login = {
    content = ''
      ${config.sops.placeholder.one}
      ${config.sops.placeholderShell.two}
    '';
    neededForUsers = true;
  };
}
