# What configurations named order-… have in common: a secret whose key is not there yet when the machine starts.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.useSystemdActivation = true;
  sops.age.keyFile = "/run/fetched/key.txt";
  sops.secrets.one = {};
}
