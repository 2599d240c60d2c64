# The same, with secrets that are needed for users.
{
  imports = [../orders/base.nix];
  sops.secrets.password = {
    key = "two";
    neededForUsers = true;
  };
}
