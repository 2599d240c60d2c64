# What the warning recommends where secrets have to be early: the unit that brings the key gives up its default dependencies.
{
  imports = [./order-wanted-by.nix];
  systemd.services.fetch-key.unitConfig.DefaultDependencies = false;
}
