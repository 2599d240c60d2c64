# A GnuPG home; the host keys are not used.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.gnupg.home = "/root/.gnupg";
  sops.gnupg.sshKeyPaths = [];
  sops.secrets.one = {};
}
