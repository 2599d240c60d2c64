{systemd.sysusers.enable = true;}
