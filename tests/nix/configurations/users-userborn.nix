# A password of root, with the accounts made by userborn.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.root-password = {
    key = "one";
    neededForUsers = true;
  };
  sops.secrets.two = {};
  users.users.root.hashedPasswordFile = config.sops.secrets.root-password.path;
  services.userborn.enable = true;
  users.mutableUsers = false;
}
