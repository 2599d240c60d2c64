# No messages but errors.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.log = [];
  sops.secrets.one = {};
}
