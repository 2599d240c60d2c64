# The key unit has no default dependencies and comes before the installer.
{lib, ...}: {
  imports = [../orders/base.nix];
  systemd.services.fetch-key =
    lib.recursiveUpdate (import ../orders/fetch.nix)
    {
      unitConfig.DefaultDependencies = false;
      wantedBy = ["sops-install-secrets.service"];
      before = ["sops-install-secrets.service"];
    };
}
