# RSA keys for a program that was built without OpenPGP.
{pkgs, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.gnupg.sshKeyPaths = ["/etc/ssh/ssh_host_rsa_key"];
  sops.package = pkgs.runCommandLocal "without-openpgp" {} "mkdir $out" // {openpgp = false;};
  sops.secrets.one = {};
}
