# Without flakes:
#
#   imports = [ (import sops-activate { }).nixosModules.sops ];
#   nix-build -A sops-activate
{pkgs ? import <nixpkgs> {}}: let
  modules = import ./nix/modules.nix;
in
  modules
  // rec {
    sops-activate = pkgs.callPackage ./nix/package.nix {};
    static = pkgs.pkgsStatic.callPackage ./nix/package.nix {};
    default = sops-activate;
    # Under the name of what it takes the place of.
    sops-install-secrets = sops-activate;
  }
