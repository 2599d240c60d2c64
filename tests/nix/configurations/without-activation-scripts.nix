# A system with units and no activation script; named so, it is evaluated with stubs that lack it.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.secrets.one = {};
}
