# tests/boot adds a key unit that the evaluation cannot see.
{
  imports = [../orders/base.nix];
}
