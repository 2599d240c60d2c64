# A slip of the pen in the name of a service.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.credentials.enable = true;
  services.openssh.enable = true;

  systemd.services.nginx.serviceConfig.ExecStart = "/bin/nginx";
  sops.secrets.one.credentialFor = ["ngnix.service"];
}
