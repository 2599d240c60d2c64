# Stands for home-manager's NixOS module: its users are evaluated by `tests.nix`.
{lib, ...}: {
  options.home-manager.users = lib.mkOption {
    type = lib.types.attrsOf lib.types.deferredModule;
    default = {};
  };
}
