# The installer comes after multi-user.target, to have the network.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key = import ../orders/fetch.nix // {wantedBy = ["multi-user.target"];};
  systemd.services.sops-install-secrets.after = ["multi-user.target"];
}
