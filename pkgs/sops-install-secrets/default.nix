# Where sops-nix has the program, for those who call it by its path. What Go needs to build that one (`vendorHash`) means nothing here.
{callPackage, ...}: callPackage ../../nix/package.nix {}
