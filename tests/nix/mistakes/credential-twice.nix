# Two credentials of one name.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.credentials.enable = true;
  services.openssh.enable = true;

  systemd.services.api.script = "run";
  sops.secrets."nested/inner".credentialFor = ["api"];
  sops.secrets.nested-inner = {
    key = "one";
    credentialFor = ["api.service"];
  };
}
