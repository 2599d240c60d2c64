# What the virtual-machine tests use of NixOS beyond `../harness/nixos.nix`, with NixOS' types.
{
  lib,
  config,
  ...
}: let
  inherit (lib) mkOption types;
  option = type: default: mkOption {inherit type default;};
in {
  options = {
    fileSystems = mkOption {type = types.attrsOf (types.submodule {options.autoFormat = option types.bool false;});};
    virtualisation = {
      emptyDiskImages = option (types.listOf types.ints.positive) [];
      fileSystems = option (types.attrsOf (types.attrsOf types.unspecified)) {};
    };
    specialisation = option (types.attrsOf (types.submodule {options.configuration = option types.deferredModule {};})) {};
    system.etc.overlay.enable = option types.bool false;
    systemd.services = mkOption {type = types.attrsOf (types.submodule {options.reload = option types.lines "";});};
  };

  # A test's own file systems are all that its machines have.
  config.fileSystems =
    {
      "/" = {
        device = "/dev/vda";
        fsType = "ext4";
        neededForBoot = true;
      };
    }
    // config.virtualisation.fileSystems;
}
