# For secrets that are needed for users, tests/boot adds a key unit that the evaluation cannot see.
{
  imports = [../orders/base.nix];
  sops.secrets.password = {
    key = "two";
    neededForUsers = true;
  };
}
