# The key is a symlink into a file system that is mounted late.
{lib, ...}: {
  imports = [../orders/base.nix ../orders/late-disk.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/link-to-age.txt";
}
