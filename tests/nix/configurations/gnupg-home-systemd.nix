# A GnuPG home, from a unit.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.gnupg.home = "/root/.gnupg";
  sops.gnupg.sshKeyPaths = [];
  sops.useSystemdActivation = true;
  sops.secrets.one = {};
}
