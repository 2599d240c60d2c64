# The NixOS module, in nix-darwin.
{imports = [../../../nix/nixos];}
