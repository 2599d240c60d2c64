# For secrets that are needed for users, the key is on a file system that is mounted after the users are made.
{lib, ...}: {
  imports = [../orders/base.nix ../orders/late-disk.nix];
  sops.age.keyFile = lib.mkForce "/persist/age.txt";
  sops.secrets.password = {
    key = "two";
    neededForUsers = true;
  };
}
