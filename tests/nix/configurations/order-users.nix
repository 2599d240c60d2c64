# For secrets that are needed for users, the key unit has default dependencies.
{
  imports = [../orders/base.nix];
  sops.secrets.password = {
    key = "two";
    neededForUsers = true;
  };
  systemd.services.fetch-key =
    import ../orders/fetch.nix
    // {
      wantedBy = ["sops-install-secrets-for-users.service" "sops-install-secrets.service"];
      before = ["sops-install-secrets-for-users.service" "sops-install-secrets.service"];
    };
}
