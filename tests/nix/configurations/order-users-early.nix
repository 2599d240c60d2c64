# A unit without default dependencies brings the key of the secrets that are needed for users.
{
  imports = [./order-users.nix];
  systemd.services.fetch-key.unitConfig.DefaultDependencies = false;
}
