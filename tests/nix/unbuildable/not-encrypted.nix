# A file that sops never saw.
{
  sops.defaultSopsFile = ../../fixtures/sample/manifest.json;
  sops.defaultSopsFormat = "json";
  services.openssh.enable = true;

  sops.secrets.one = {};
}
