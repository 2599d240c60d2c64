# Two groups of a secret.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {
    group = "keys";
    gid = 1000;
  };
}
