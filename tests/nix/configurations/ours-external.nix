# Users, groups and units that this configuration does not declare.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.mutableUsers = false;
  sops.external = {
    users = ["from-ldap"];
    groups = ["staff"];
    units = ["generated" "instances@.service"];
  };
  sops.secrets.one = {
    owner = "from-ldap";
    restartUnits = ["generated.service" "instances@one"];
  };
  sops.secrets.two.group = "staff";
}
