# A gpg of one's own in place of the package's.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.environment.SOPS_GPG_EXEC = "/usr/local/bin/gpg";
  sops.secrets.one = {};
}
