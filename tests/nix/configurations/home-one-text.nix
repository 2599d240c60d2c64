# Settings of the unit as one text each, which does not add up with a list.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/.config/sops/age/keys.txt";
  sops.secrets.one = {};
  systemd.user.services.sops-nix.Unit = {
    Before = "mail.service";
    Conflicts = "other.service";
    PartOf = "session.target";
  };
}
