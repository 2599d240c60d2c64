# A NixOS that no longer has activation scripts.
{lib, ...} @ arguments: let
  nixos = import ./nixos.nix arguments;
in {
  options = nixos.options // {system = removeAttrs nixos.options.system ["activationScripts" "dryActivationScript"];};
  config = removeAttrs nixos.config ["system"];
  _file = lib.mkDefault ./nixos-without-scripts.nix;
}
