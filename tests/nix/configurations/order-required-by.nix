# The key unit has the installer in `before` and `requiredBy`.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key =
    import ../orders/fetch.nix
    // {
      requiredBy = ["sops-install-secrets.service"];
      before = ["sops-install-secrets.service"];
    };
}
