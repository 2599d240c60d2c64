# The NixOS module, in home-manager.
{imports = [../../../nix/nixos];}
