# A slip of the pen in a user's secret.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/.config/sops/age/keys.txt";

  sops.secrets.password.key = "tow";
}
