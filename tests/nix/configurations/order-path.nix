# A program for the installer: an age plugin's helper, as `path` has it.
{
  lib,
  pkgs,
  ...
}: {
  imports = [../orders/base.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/age.txt";
  systemd.services.sops-install-secrets.path = [pkgs.age];
}
