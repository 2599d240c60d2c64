# The installer has the key unit in `after` and `bindsTo`.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key = import ../orders/fetch.nix;
  systemd.services.sops-install-secrets = {
    after = ["fetch-key.service"];
    bindsTo = ["fetch-key.service"];
  };
}
