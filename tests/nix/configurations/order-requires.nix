# The installer says that it comes after the unit that brings the key, and has it in `requires`.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key = import ../orders/fetch.nix;
  systemd.services.sops-install-secrets = {
    after = ["fetch-key.service"];
    requires = ["fetch-key.service"];
  };
}
