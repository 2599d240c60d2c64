# Names that options had before.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.gnupgHome = "/root/.gnupg";
  sops.sshKeyPaths = [];
  sops.secrets.one = {};
}
