# The same in systemd's own words.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.useSystemdActivation = true;
  sops.secrets.one = {};

  systemd.services.sops-install-secrets.unitConfig = {
    Description = "Bring the secrets";
    StartLimitIntervalSec = 30;
  };
}
