# Host keys are made although sshd is off.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  services.openssh.generateHostKeys = true;

  sops.secrets.one = {};
}
