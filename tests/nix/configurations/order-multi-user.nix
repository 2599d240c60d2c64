# multi-user.target wants the key unit, which has the installer in `before`.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key =
    import ../orders/fetch.nix
    // {
      wantedBy = ["multi-user.target"];
      before = ["sops-install-secrets.service"];
    };
}
