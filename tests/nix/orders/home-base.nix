# What configurations named home-order-… have in common: a secret whose key is not there yet when the user logs in.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/fetched/key.txt";
  sops.secrets.one = {};
}
