# The installer has default dependencies, as the warning advises where secrets may be late.
{lib, ...}: {
  imports = [./order-wanted-by.nix];
  systemd.services.sops-install-secrets.unitConfig.DefaultDependencies = lib.mkForce true;
}
