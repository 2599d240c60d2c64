# A credential for a service, where services get none.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;
  sops.secrets.one.credentialFor = ["api.service"];
  systemd.services.api.script = "true";
}
