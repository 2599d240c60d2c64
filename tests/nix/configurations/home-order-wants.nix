# The user's installer comes after a unit that brings the key, and has it in `Wants`.
{
  imports = [../orders/home-base.nix];
  systemd.user.services.secrets-unlock.Service = import ../orders/home-fetch.nix;
  systemd.user.services.sops-nix.Unit = {
    After = ["secrets-unlock.service"];
    Wants = ["secrets-unlock.service"];
  };
}
