# A slip of the pen in the name of a unit.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  systemd.services.nginx.wantedBy = ["multi-user.target"];
  sops.secrets.one.restartUnits = ["ngnix.service" "nginx"];
}
