# The `preStart` of the installer fetches the key.
{
  imports = [../orders/base.nix];
  systemd.services.sops-install-secrets.preStart = "install -D -m 0600 /boot-test/age.txt /run/fetched/key.txt";
}
