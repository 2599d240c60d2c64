# Variables for the program, in the activation script.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.environment.SOPS_AGE_KEY_CMD = "/run/wrappers/bin/key --id 1";
  sops.environment.QUOTED = "two words, $HOME and 100%";
  sops.environment.FILE = ../../compat/files/marker.yaml;
  sops.secrets.one = {};
  sops.secrets.two.neededForUsers = true;
}
