# A host key that was copied into the store with the configuration.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.age.sshKeyPaths = [../../fixtures/keys/host_ed25519];
  sops.secrets.one = {};
}
