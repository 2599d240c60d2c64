# No unit comes before the installer: its key is on the root file system.
{lib, ...}: {
  imports = [../orders/base.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/age.txt";
}
