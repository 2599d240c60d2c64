# One of two keys is installed with the secrets.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.age.keyFile = "/run/secrets/key";
  sops.secrets.one = {};
}
