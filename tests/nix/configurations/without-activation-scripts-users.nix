# Users that userborn makes, on a system with no activation script.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  services.userborn.enable = true;
  sops.age.keyFile = "/var/lib/sops-nix/key.txt";
  sops.age.generateKey = true;
  sops.secrets.one.restartUnits = ["a-unit-of-the-distribution.service"];
  sops.secrets.two.neededForUsers = true;
}
