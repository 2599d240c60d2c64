# Files that are not in the store: only the manifest is checked.
{
  sops.defaultSopsFile = "/etc/nixos/secrets/default.yaml";
  sops.validateSopsFiles = false;
  services.openssh.enable = true;

  sops.secrets.one = {};
  sops.secrets.two.sopsFile = "/etc/nixos/secrets/two.yaml";
}
