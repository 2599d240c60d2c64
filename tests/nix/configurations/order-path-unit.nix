# A path unit starts the installer when the key appears.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key = import ../orders/fetch.nix // {wantedBy = ["multi-user.target"];};
  systemd.paths.sops-install-secrets = {
    wantedBy = ["multi-user.target"];
    pathConfig.PathExists = "/run/fetched/key.txt";
  };
  systemd.services.sops-install-secrets.unitConfig.ConditionPathExists = "/run/fetched/key.txt";
}
