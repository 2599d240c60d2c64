# What is said of the user's unit counts instead of what the module takes away from it.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/key.txt";
  sops.secrets.one = {};
  systemd.user.services.sops-nix.Service.NoNewPrivileges = false;
  systemd.user.services.sops-nix.Service.RestrictAddressFamilies = ["AF_UNIX"];
}
