# The sops file is outside the store, on a file system that is mounted late.
{lib, ...}: {
  imports = [../orders/base.nix ../orders/late-disk.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/age.txt";
  sops.validateSopsFiles = false;
  sops.defaultSopsFile = lib.mkForce "/persist/values.yaml";
}
