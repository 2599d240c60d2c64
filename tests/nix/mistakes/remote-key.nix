# A key on a network file system.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  fileSystems."/net" = {
    device = "server:/";
    fsType = "nfs4";
  };
  sops.useSystemdActivation = true;
  sops.age.keyFile = "/net/key.txt";
  sops.secrets.one = {};
}
