# The installer has the key unit in `after` and `requires`.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key = import ../orders/fetch.nix;
  systemd.services.sops-install-secrets = {
    after = ["fetch-key.service"];
    requires = ["fetch-key.service"];
  };
}
