# A program for the check that is not the one installed.
{pkgs, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.validationPackage = pkgs.runCommandLocal "sops-activate-native" {} "mkdir $out";
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
}
