# A key from a credential of the system, and no other.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.userborn.enable = true;

  sops.age.keyCredential = "sops-age-key";
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
}
