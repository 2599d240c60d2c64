# A user's SSH key.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.sshKeyPaths = ["/home/alice/.ssh/id_ed25519"];

  sops.secrets.one = {};
  sops.secrets."nested/inner" = {};
}
