# A step of the installer that comes after the secrets, and needs what its sandbox does not permit.
{lib, ...}: {
  imports = [../orders/base.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/age.txt";
  systemd.services.sops-install-secrets.postStart = "unshare --mount cat /run/secrets/one";
}
