# The key of the machine, so that the build fails for a file that it cannot open.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.hostRecipients = [(builtins.readFile ../../fixtures/keys/host_ed25519.pub)];
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
}
