# The key is on a file system that is mounted late.
{lib, ...}: {
  imports = [../orders/base.nix ../orders/late-disk.nix];
  sops.age.keyFile = lib.mkForce "/persist/age.txt";
}
