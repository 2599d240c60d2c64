# What a configuration says of the units itself, without mkForce.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.useSystemdActivation = true;
  sops.secrets.one = {};

  systemd.services.sops-install-secrets = {
    description = "Bring the secrets";
    startLimitIntervalSec = 30;
    unitConfig.StartLimitBurst = 3;
    serviceConfig.TimeoutStartSec = 60;
  };
}
