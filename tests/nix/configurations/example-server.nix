# The example server of this repository.
{
  imports = [
    ../../../nix/example/configuration.nix
    ../../../nix/example/hardware-configuration.nix
  ];
}
