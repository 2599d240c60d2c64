# nix-darwin's module, in NixOS.
{imports = [../../../nix/darwin];}
