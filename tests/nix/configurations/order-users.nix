# A unit with default dependencies brings the key of the secrets that are needed for users.
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
