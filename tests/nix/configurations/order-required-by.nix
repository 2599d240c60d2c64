# The same as in order-wanted-by, with the stronger dependency.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key =
    import ../orders/fetch.nix
    // {
      requiredBy = ["sops-install-secrets.service"];
      before = ["sops-install-secrets.service"];
    };
}
