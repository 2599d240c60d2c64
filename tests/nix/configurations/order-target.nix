# The installer comes after a target of the configuration, which wants the key unit.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key =
    import ../orders/fetch.nix
    // {
      wantedBy = ["keys-fetched.target"];
      before = ["keys-fetched.target"];
    };
  systemd.targets.keys-fetched = {};
  systemd.services.sops-install-secrets = {
    after = ["keys-fetched.target"];
    wants = ["keys-fetched.target"];
  };
}
