# Without flakes:
#
#   imports = [ (import sops-activate { }).nixosModules.sops ];
#   nix-build -A sops-activate
#
# Further arguments (sops-nix has `vendorHash`) mean nothing here.
{pkgs ? import <nixpkgs> {}, ...}: let
  modules = import ./nix/modules.nix;
  instead = import ./nix/instead.nix {inherit (pkgs.stdenv.hostPlatform) system;};
in
  modules
  // instead
  // rec {
    sops-activate = sops-install-secrets;
    default = sops-activate;
    # Under the name of what it takes the place of.
    sops-install-secrets =
      if pkgs.stdenv.hostPlatform.isLinux
      then pkgs.callPackage ./nix/package.nix {}
      else instead.sops-install-secrets;
    static = pkgs.pkgsStatic.callPackage ./nix/package.nix {};
    inherit (pkgs) ssh-to-pgp;
  }
