# The unit is started by the session alone.
{lib, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/.config/sops/age/keys.txt";
  sops.secrets.one = {};
  systemd.user.services.sops-nix.Install.WantedBy = lib.mkForce ["graphical-session.target"];
}
