# The modules under every name that they have in sops-nix, for `flake.nix` and `default.nix`.
rec {
  nixosModules = {
    sops = ./nixos;
    default = nixosModules.sops;
  };
  homeModules = {
    sops = ./home-manager;
    default = homeModules.sops;
  };
  homeManagerModules = homeModules;
  homeManagerModule = homeModules.sops;
  # So that a flake with a Mac among its machines evaluates: it says what to do.
  darwinModules = {
    sops = ./darwin;
    default = darwinModules.sops;
  };
}
