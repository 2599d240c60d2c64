# Only messages about changes.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.log = ["secretChanges"];
  sops.secrets.one = {};
}
