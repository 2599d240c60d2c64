# No file named anywhere.
{
  services.openssh.enable = true;

  sops.secrets.one = {};
}
