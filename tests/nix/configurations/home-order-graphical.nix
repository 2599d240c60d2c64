# The user's installer comes after graphical-session-pre.target, to be able to show a prompt.
{lib, ...}: {
  imports = [../orders/home-base.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/user.txt";
  systemd.user.services.sops-nix.Unit.After = ["graphical-session-pre.target"];
}
