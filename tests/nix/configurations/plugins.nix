# An age plugin, in the activation script.
{pkgs, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.age.plugins = [pkgs.age-plugin-yubikey];
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.secrets.one = {};
}
