# The virtual-machine tests. Each is one behaviour, in the file of its name.
#
#   nix-build nix/tests -A boot
#   nix-build nix/tests -A home-manager --arg home-manager '<home-manager>'
{
  pkgs ? import <nixpkgs> {},
  # home-manager's source. It is not an input of the flake: one test is not worth a dependency for everybody.
  home-manager ? null,
}: let
  test = module:
    pkgs.testers.runNixOSTest {
      imports = [module];
      defaults.imports = [./machine.nix];
    };
in
  {
    bad-secret = test ./bad-secret.nix;
    boot = test ./boot.nix;
    credentials = test ./credentials.nix;
    dry-activate = test ./dry-activate.nix;
    late-mount = test ./late-mount.nix;
    late-unit = test ./late-unit.nix;
    power-loss = test ./power-loss.nix;
    restart = test ./restart.nix;
    switch = test ./switch.nix;
    templates = test ./templates.nix;
    users-classic = test (import ./users.nix "classic");
    users-sysusers = test (import ./users.nix "sysusers");
    users-userborn = test (import ./users.nix "userborn");
  }
  // pkgs.lib.optionalAttrs (home-manager != null) {
    home-manager = test (import ./home-manager.nix home-manager);
  }
