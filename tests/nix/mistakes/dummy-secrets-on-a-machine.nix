# Placeholders for secrets on a machine that is none for tests.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.testing.dummySecrets = true;
  sops.secrets.one = {};
}
