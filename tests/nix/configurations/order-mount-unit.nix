# The key is on a file system of `systemd.mounts`; its mount requires a unit with default dependencies.
{lib, ...}: {
  imports = [../orders/base.nix];
  sops.age.keyFile = lib.mkForce "/keys/age.txt";
  systemd.mounts = [
    {
      what = "/run/opened";
      where = "/keys";
      type = "none";
      options = "bind";
      after = ["open-disk.service"];
      requires = ["open-disk.service"];
    }
  ];
  systemd.services.open-disk.serviceConfig = {
    Type = "oneshot";
    RemainAfterExit = true;
    ExecStart = "/usr/bin/install -D -m 0600 /boot-test/age.txt /run/opened/age.txt";
  };
}
