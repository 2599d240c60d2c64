# Host keys of three kinds; the one that is itself a secret is not used to open secrets.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  services.openssh.hostKeys = [
    {
      type = "ed25519";
      path = "/persist/ssh/ed25519";
    }
    {
      type = "rsa";
      bits = 4096;
      path = "/persist/ssh/rsa";
    }
    {
      type = "ed25519";
      path = "/run/secrets/host-key";
    }
    {
      type = "ecdsa";
      path = "/persist/ssh/ecdsa";
    }
  ];
  sops.secrets.host-key = {
    key = "two";
  };
}
