# Two files for one variable.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.useSystemdActivation = true;
  sops.age.keyCredential = "sops-age-key";
  sops.environment.SOPS_AGE_KEY_FILE = "/root/key.txt";
  sops.secrets.one = {};
}
