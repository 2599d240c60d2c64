# Settings of the unit as one text each, which does not add up with a list.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.useSystemdActivation = true;
  sops.age.keyFile = "/var/lib/key.txt";
  sops.secrets.one = {};
  systemd.services.sops-install-secrets.unitConfig.WantsMountsFor = "/srv";
}
