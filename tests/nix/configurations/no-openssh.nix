# No sshd, so no host keys.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";

  sops.secrets.one = {};
}
