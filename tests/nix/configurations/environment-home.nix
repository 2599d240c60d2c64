# A home and a search path of one's own for the activation script.
{pkgs, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one = {};
  sops.age.plugins = [pkgs.age];
  sops.environment.HOME = "/root";
  sops.environment.PATH = "/run/wrappers/bin";
}
