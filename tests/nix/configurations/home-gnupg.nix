# A user's GnuPG home.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.gnupg.home = "/home/alice/.gnupg";

  sops.secrets.one = {};
}
