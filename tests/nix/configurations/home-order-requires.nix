# The user's installer has the key unit in `After` and `Requires`.
{
  imports = [../orders/home-base.nix];
  systemd.user.services.secrets-unlock.Service = import ../orders/home-fetch.nix;
  systemd.user.services.sops-nix.Unit = {
    After = ["secrets-unlock.service"];
    Requires = ["secrets-unlock.service"];
  };
}
