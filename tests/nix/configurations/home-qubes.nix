# Split GPG of Qubes OS.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.gnupg.qubes-split-gpg = {
    enable = true;
    domain = "vault-gpg";
  };

  sops.secrets.one = {};
}
