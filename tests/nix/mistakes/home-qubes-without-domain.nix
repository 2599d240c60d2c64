# Split GPG of no qube.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;

  sops.gnupg.qubes-split-gpg.enable = true;
  sops.secrets.one = {};
}
