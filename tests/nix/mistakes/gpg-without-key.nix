# A gpg that would never be run.
{pkgs, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.age.keyFile = "/var/lib/key.txt";
  sops.gnupg.package = pkgs.bash;
  sops.secrets.one = {};
}
