# A keyring, beside the RSA host key that is there by itself.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.gnupg.home = "/root/.gnupg";
  sops.secrets.one = {};
}
