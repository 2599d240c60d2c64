# The user's installer comes after the target before a graphical session, in which a prompt can be shown.
{lib, ...}: {
  imports = [../orders/home-base.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/user.txt";
  systemd.user.services.sops-nix.Unit.After = ["graphical-session-pre.target"];
}
