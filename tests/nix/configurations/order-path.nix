# The installer has a plugin's program in `path`.
{
  lib,
  pkgs,
  ...
}: {
  imports = [../orders/base.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/age.txt";
  systemd.services.sops-install-secrets.path = [pkgs.age];
}
