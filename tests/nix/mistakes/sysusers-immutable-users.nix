# Passwords that systemd-sysusers would never set again.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  systemd.sysusers.enable = true;
  users.mutableUsers = false;
  sops.secrets.one.neededForUsers = true;
}
