# What `tests/boot` boots: units of users are restarted for secrets of the system.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.userborn.enable = true;
  services.openssh.enable = true;

  users.users.alice = {
    isNormalUser = true;
    group = "users";
  };
  sops.secrets.one = {
    owner = "alice";
    restartUserUnits = ["reader"];
  };
  sops.secrets.two.restartUserUnits = ["no-such-unit.service"];
}
