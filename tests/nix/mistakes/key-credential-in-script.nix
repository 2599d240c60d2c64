# A credential where an activation script installs.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.age.keyCredential = "sops-age-key";
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
}
