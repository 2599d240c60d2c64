# Markers by name where placeholders are at hand.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  sops.templates.conf = {
    content = ''{{ sops "one" }}'';
    namedMarkers = true;
  };
}
