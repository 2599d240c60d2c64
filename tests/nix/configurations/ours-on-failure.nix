# All or nothing.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.onFailure = "abort";
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
}
