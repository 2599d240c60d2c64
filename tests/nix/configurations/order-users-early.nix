# For secrets that are needed for users, the key unit has no default dependencies.
{
  imports = [./order-users.nix];
  systemd.services.fetch-key.unitConfig.DefaultDependencies = false;
}
