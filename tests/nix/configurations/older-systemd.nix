# systemd before 256 does not know WantsMountsFor=.
{
  systemd.package.version = "255.9";

  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.useSystemdActivation = true;
  sops.secrets.one = {};
}
