# The key is on a file system that is mounted by a unit with default dependencies, with the option nofail.
{lib, ...}: {
  imports = [../orders/base.nix];
  sops.age.keyFile = lib.mkForce "/keys/age.txt";
  fileSystems."/keys" = {
    device = "/run/opened";
    fsType = "none";
    options = ["bind" "nofail" "x-systemd.requires=open-disk.service"];
  };
  systemd.services.open-disk.serviceConfig = {
    Type = "oneshot";
    RemainAfterExit = true;
    ExecStart = "/usr/bin/install -D -m 0600 /boot-test/age.txt /run/opened/age.txt";
  };
}
