# Where sops-nix has its module: for those who import it by its path.
{imports = [../../nix/darwin];}
