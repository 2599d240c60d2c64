# No secret but a password.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.root-password = {
    key = "one";
    neededForUsers = true;
  };
  users.users.root.hashedPasswordFile = config.sops.secrets.root-password.path;
}
