# The key unit has the user's installer in `Before`.
{
  imports = [../orders/home-base.nix];
  systemd.user.services.secrets-unlock = {
    Unit.Before = ["sops-nix.service"];
    Service = import ../orders/home-fetch.nix;
    Install.WantedBy = ["default.target"];
  };
}
