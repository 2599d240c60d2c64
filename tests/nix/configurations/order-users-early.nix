# The same, without default dependencies.
{
  imports = [./order-users.nix];
  systemd.services.fetch-key.unitConfig.DefaultDependencies = false;
}
