# system-manager: units, files and accounts of NixOS' kind, on another distribution. It runs no activation script.
arguments: let
  nixos = import ./nixos-without-scripts.nix arguments;
in
  nixos
  // {
    options =
      nixos.options
      // {
        system-manager.allowAnyDistro = arguments.lib.mkOption {
          type = arguments.lib.types.bool;
          default = false;
        };
      };
  }
