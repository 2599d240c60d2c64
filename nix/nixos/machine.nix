# What kind of system the secrets are installed on. Every option is asked for first: older releases lack some, and system-manager,
# which puts units on other distributions, lacks most.
{
  config,
  lib,
  options,
}: rec {
  # system-manager, on another distribution. Its own options identify it. The absence of activation scripts does not: a future NixOS
  # has none either.
  foreign = options ? system-manager;

  # system-manager declares some activation scripts, for modules that define them, but runs none.
  hasActivationScripts = options ? system.activationScripts && lib.isOption options.system.activationScripts;

  # Activation scripts are never run: there are none, or nixos-init ignores them.
  unitsOnly = !hasActivationScripts || options ? system.nixos-init.enable && config.system.nixos-init.enable;

  sysusers = options ? systemd.sysusers && config.systemd.sysusers.enable;
  userborn = options ? services.userborn && config.services.userborn.enable;

  # Users are made by a unit. Otherwise the activation script `users` makes them, long before any unit.
  usersByUnit = sysusers || userborn;
}
