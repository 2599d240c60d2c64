# A file by its name on the machine, to be checked when the system is built.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.sopsFile = "/etc/hostname";
}
