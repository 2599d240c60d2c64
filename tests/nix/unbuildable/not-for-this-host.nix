# A file that the machine could not open.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.hostRecipients = [(builtins.readFile ../../fixtures/keys/stranger_ed25519.pub)];
  sops.secrets.one = {};
}
