# A copy that leaves memory.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {
    path = "/etc/program/key";
    installMode = "copy";
  };
}
