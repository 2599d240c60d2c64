# Nothing in the configuration brings the key: in tests/boot, a unit that the evaluation cannot see does.
{
  imports = [../orders/home-base.nix];
}
