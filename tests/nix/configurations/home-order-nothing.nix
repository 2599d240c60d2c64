# No unit comes before the user's installer.
{lib, ...}: {
  imports = [../orders/home-base.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/user.txt";
}
