# The NixOS module. In reading order: what can be set, what makes no sense, what is done with it.
{lib, ...}: let
  # The options that NixOS and home-manager share are functions of which of the two it is. Error messages and the option reference
  # name the file that declares an option; a function has no file of its own, so it is told.
  shared = file: lib.setDefaultModuleLocation file (import file {userMode = false;});
in
  import ../class.nix lib "nixos"
  // {
    imports = [
      (shared ../options/secrets.nix)
      (shared ../options/secret-groups.nix)
      (shared ../options/templates.nix)
      (shared ../options/age.nix)
      (shared ../options/gnupg.nix)
      (shared ../options/settings.nix)
      (lib.mkRenamedOptionModule ["sops" "gnupgHome"] ["sops" "gnupg" "home"])
      (lib.mkRenamedOptionModule ["sops" "sshKeyPaths"] ["sops" "gnupg" "sshKeyPaths"])
      ./assertions.nix
      ./activation.nix
      ./users.nix
      ./credentials.nix
      ./system-manager.nix
    ];
  }
