# A system whose init runs no activation script.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  system.nixos-init.enable = true;
  services.userborn.enable = true;
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
}
