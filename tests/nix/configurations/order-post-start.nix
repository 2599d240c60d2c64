# The `postStart` of the installer reads a secret, in a namespace that the sandbox forbids.
{lib, ...}: {
  imports = [../orders/base.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/age.txt";
  systemd.services.sops-install-secrets.postStart = "unshare --mount cat /run/secrets/one";
}
