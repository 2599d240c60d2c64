# What kind of system the secrets are installed on. Every option is asked for first: older releases lack some, and system-manager,
# which puts units on other distributions, lacks most.
{
  config,
  lib,
  options,
}: rec {
  # system-manager, on another distribution. Options of its own show it; the absence of activation scripts does not, for NixOS is going to
  # have none.
  foreign = options ? system-manager;

  # system-manager declares a few of their names, for modules that write to them, and runs none.
  hasActivationScripts = options ? system.activationScripts && lib.isOption options.system.activationScripts;

  # Activation scripts are never run: there are none, or nixos-init ignores them.
  unitsOnly = !hasActivationScripts || options ? system.nixos-init.enable && config.system.nixos-init.enable;

  sysusers = options ? systemd.sysusers && config.systemd.sysusers.enable;
  userborn = options ? services.userborn && config.services.userborn.enable;

  # Users are made by a unit. Otherwise the activation script `users` makes them, long before any unit.
  usersByUnit = sysusers || userborn;
}
