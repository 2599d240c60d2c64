# Units that restart and reload.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  systemd.services.web.wantedBy = ["multi-user.target"];
  systemd.services.mail.wantedBy = ["multi-user.target"];
  systemd.sockets.web.wantedBy = ["sockets.target"];
  sops.secrets.one = {
    restartUnits = ["web.service" "web.socket"];
    reloadUnits = ["mail.service"];
  };
  sops.secrets.two.reloadUnits = ["web.service"];
}
