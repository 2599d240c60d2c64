# Secrets on a tmpfs.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.useTmpfs = true;
  sops.secrets.one = {};
}
