# An environment variable names the key, which is on a file system that is mounted late.
{lib, ...}: {
  imports = [../orders/base.nix ../orders/late-disk.nix];
  sops.age.keyFile = lib.mkForce null;
  sops.age.sshKeyPaths = ["/etc/ssh/no-such-key"];
  sops.environment.SOPS_AGE_KEY_FILE = "/persist/age.txt";
}
