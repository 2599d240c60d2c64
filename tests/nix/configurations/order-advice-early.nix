# The key unit has no default dependencies, as the warning advises for early secrets.
{
  imports = [./order-wanted-by.nix];
  systemd.services.fetch-key.unitConfig.DefaultDependencies = false;
}
