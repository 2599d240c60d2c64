# Secrets from a unit, while the accounts are made by the activation script.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.root-password = {
    key = "one";
    neededForUsers = true;
  };
  sops.secrets.two = {};
  users.users.root.hashedPasswordFile = config.sops.secrets.root-password.path;
  sops.useSystemdActivation = true;
}
