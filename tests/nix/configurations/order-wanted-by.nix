# A unit with default dependencies brings the key; the unit itself says that it comes before the installer.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key =
    import ../orders/fetch.nix
    // {
      wantedBy = ["sops-install-secrets.service"];
      before = ["sops-install-secrets.service"];
    };
}
