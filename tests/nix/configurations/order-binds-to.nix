# The installer says that it comes after the unit that brings the key, and has it in `bindsTo`.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key = import ../orders/fetch.nix;
  systemd.services.sops-install-secrets = {
    after = ["fetch-key.service"];
    bindsTo = ["fetch-key.service"];
  };
}
