# The installer comes after multi-user.target, as where the network has to be up.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key = import ../orders/fetch.nix // {wantedBy = ["multi-user.target"];};
  systemd.services.sops-install-secrets.after = ["multi-user.target"];
}
