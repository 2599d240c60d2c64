{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    # Where you have sops-activate from.
    sops-activate.url = "git+https://git.example.org/sops-activate";
    sops-activate.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs = {
    nixpkgs,
    sops-activate,
    ...
  }: let
    pkgs = nixpkgs.legacyPackages.x86_64-linux;
  in {
    nixosConfigurations.server = nixpkgs.lib.nixosSystem {
      modules = [
        sops-activate.nixosModules.default
        ./hardware-configuration.nix
        ./configuration.nix
      ];
    };

    # What editing secrets takes: `nix develop`.
    devShells.x86_64-linux.default = pkgs.mkShell {packages = [pkgs.age pkgs.sops pkgs.ssh-to-age];};
  };
}
