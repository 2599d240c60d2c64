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
  # Lets a flake with a Mac evaluate; its assertion says how to keep sops-nix for that machine.
  darwinModules = {
    sops = ./darwin;
    default = darwinModules.sops;
  };
}
