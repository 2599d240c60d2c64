# An age plugin, in units.
{pkgs, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.age.plugins = [pkgs.age-plugin-yubikey];
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
  services.userborn.enable = true;
}
