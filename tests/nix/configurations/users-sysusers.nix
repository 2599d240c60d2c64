# A password of root, with the accounts made by systemd-sysusers.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.root-password = {
    key = "one";
    neededForUsers = true;
  };
  sops.secrets.two = {};
  users.users.root.hashedPasswordFile = config.sops.secrets.root-password.path;
  systemd.sysusers.enable = true;
}
