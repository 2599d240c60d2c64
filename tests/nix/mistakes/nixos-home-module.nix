# home-manager's module, in NixOS.
{imports = [../../../nix/home-manager];}
