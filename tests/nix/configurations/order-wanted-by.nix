# The key unit has the installer in `before` and `wantedBy`.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key =
    import ../orders/fetch.nix
    // {
      wantedBy = ["sops-install-secrets.service"];
      before = ["sops-install-secrets.service"];
    };
}
