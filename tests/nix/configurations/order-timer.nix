# A timer starts the installer after boot, when the key is in place.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key = import ../orders/fetch.nix // {wantedBy = ["multi-user.target"];};
  systemd.timers.sops-install-secrets = {
    wantedBy = ["multi-user.target"];
    after = ["fetch-key.service"];
    timerConfig.OnActiveSec = "1s";
    timerConfig.AccuracySec = "10ms";
  };
  systemd.services.sops-install-secrets.unitConfig.ConditionPathExists = "/run/fetched/key.txt";
}
