# The example server with units in place of activation scripts: systemd-sysusers makes its users. tests/boot boots it.
{
  imports = [./example-server.nix];
  systemd.sysusers.enable = true;
}
