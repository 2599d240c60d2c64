# A NixOS that no longer has activation scripts: units alone, and none of what is for system-manager.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  services.userborn.enable = true;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.age.generateKey = true;
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
}
