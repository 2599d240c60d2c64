# A program of one's own.
{pkgs, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.package = pkgs.runCommandLocal "sops-install-secrets-fork" {} "mkdir $out";
  sops.secrets.one = {};
}
