# The only key is installed with the secrets.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.sshKeyPaths = ["/home/alice/.config/sops-nix/secrets/ssh-key"];

  sops.secrets.one = {};
}
