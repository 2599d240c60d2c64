# The example server with units in place of activation scripts: userborn makes its users. tests/boot boots it.
{
  imports = [./example-server.nix];
  services.userborn.enable = true;
}
