# The key is on a file system with the option noauto; its mount requires a unit with default dependencies.
{lib, ...}: {
  imports = [../orders/base.nix];
  sops.age.keyFile = lib.mkForce "/keys/age.txt";
  fileSystems."/keys" = {
    device = "/run/opened";
    fsType = "none";
    options = ["bind" "noauto" "x-systemd.requires=open-disk.service"];
  };
  systemd.services.open-disk.serviceConfig = {
    Type = "oneshot";
    RemainAfterExit = true;
    ExecStart = "/usr/bin/install -D -m 0600 /boot-test/age.txt /run/opened/age.txt";
  };
}
