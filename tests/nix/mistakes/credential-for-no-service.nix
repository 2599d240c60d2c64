# Units that have no credentials, and an instance, which has the unit of its template.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.credentials.enable = true;
  services.openssh.enable = true;

  sops.secrets.one.credentialFor = ["web.socket" "getty@tty1.service"];
}
