# A key that everybody can read.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.age.keyFile = "${builtins.storeDir}/00000000000000000000000000000000-key";
  sops.secrets.one = {};
}
