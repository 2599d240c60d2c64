# A path where a name is meant.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.age.keyCredential = "/etc/credstore/key";
  sops.secrets.one = {};
}
