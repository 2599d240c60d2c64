# An age key in a file, and no host key.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";

  sops.secrets.one = {};
  sops.secrets.two = {};
}
