# Nothing in the configuration brings the key of the secrets for users: in tests/boot, a unit that the evaluation cannot see does.
{
  imports = [../orders/base.nix];
  sops.secrets.password = {
    key = "two";
    neededForUsers = true;
  };
}
