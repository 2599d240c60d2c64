# A file system that is mounted a second late, as from a slow disk. tests/boot has files of its own below /boot-test/disk.
{
  fileSystems."/persist" = {
    device = "/boot-test/disk";
    fsType = "none";
    options = ["bind" "x-systemd.requires=slow-disk.service"];
  };
  systemd.services.slow-disk = {
    unitConfig.DefaultDependencies = false;
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = "/usr/bin/sleep 1";
    };
  };
}
