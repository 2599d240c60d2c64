# A file that is not there, as one that is not known to git.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.sopsFile = ./missing.yaml;
}
