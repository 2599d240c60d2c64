# The unit that brings the key says itself that it comes before the user's installer.
{
  imports = [../orders/home-base.nix];
  systemd.user.services.secrets-unlock = {
    Unit.Before = ["sops-nix.service"];
    Service = import ../orders/home-fetch.nix;
    Install.WantedBy = ["default.target"];
  };
}
