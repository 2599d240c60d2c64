# Something to log that there is not.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.log = ["everything"];
  sops.secrets.one = {};
}
