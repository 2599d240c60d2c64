# A system that has units, files and accounts of NixOS' kind, but no activation script (as system-manager).
{lib, ...} @ arguments: let
  nixos = import ./nixos.nix arguments;
in {
  options = nixos.options // {system = removeAttrs nixos.options.system ["activationScripts" "dryActivationScript"];};
  config = removeAttrs nixos.config ["system"];
  _file = lib.mkDefault ./without-activation-scripts.nix;
}
