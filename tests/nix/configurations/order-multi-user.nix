# The unit that brings the key is started with the rest of the system, and says that it comes before the installer.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key =
    import ../orders/fetch.nix
    // {
      wantedBy = ["multi-user.target"];
      before = ["sops-install-secrets.service"];
    };
}
