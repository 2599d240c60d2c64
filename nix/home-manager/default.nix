# The home-manager module. It shares its options with the NixOS module; what differs is said in each of their files.
{lib, ...}: let
  shared = file: lib.setDefaultModuleLocation file (import file {userMode = true;});
in
  import ../class.nix lib "homeManager"
  // {
    imports = [
      (shared ../options/secrets.nix)
      (shared ../options/secret-groups.nix)
      (shared ../options/templates.nix)
      (shared ../options/age.nix)
      (shared ../options/gnupg.nix)
      (shared ../options/settings.nix)
      ./assertions.nix
      ./activation.nix
    ];
  }
