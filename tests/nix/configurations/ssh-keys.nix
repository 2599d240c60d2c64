# SSH keys named by hand; sshd has keys of its own, one of them a secret.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.age.sshKeyPaths = ["/etc/ssh/ssh_host_ed25519_key" "/persist/host keys/second"];
  sops.gnupg.sshKeyPaths = [];
  sops.secrets.one = {};
}
