# What the warning recommends where secrets may be late: the installer has default dependencies, too.
{lib, ...}: {
  imports = [./order-wanted-by.nix];
  systemd.services.sops-install-secrets.unitConfig.DefaultDependencies = lib.mkForce true;
}
