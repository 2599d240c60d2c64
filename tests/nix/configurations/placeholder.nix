# A placeholder that is text of the user's own.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  sops.placeholder.one = "@ONE@";
  sops.templates.greeting.content = "hello ${config.sops.placeholder.one}\n";
}
