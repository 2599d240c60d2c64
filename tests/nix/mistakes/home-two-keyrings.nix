# A keyring and an SSH key as an OpenPGP key.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.gnupg.home = "/home/alice/.gnupg";
  sops.gnupg.sshKeyPaths = ["/home/alice/.ssh/id_rsa"];
  sops.secrets.one = {};
}
