# A user's RSA key, as an OpenPGP key.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.gnupg.sshKeyPaths = ["/home/alice/.ssh/id_rsa"];

  sops.secrets.one = {};
}
