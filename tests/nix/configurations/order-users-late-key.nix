# The key of the secrets that are needed for users is on a file system that is mounted after the users are made.
{lib, ...}: {
  imports = [../orders/base.nix ../orders/late-disk.nix];
  sops.age.keyFile = lib.mkForce "/persist/age.txt";
  sops.secrets.password = {
    key = "two";
    neededForUsers = true;
  };
}
