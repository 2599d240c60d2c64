# A step of the installer itself brings the key: preStart.
{
  imports = [../orders/base.nix];
  systemd.services.sops-install-secrets.preStart = "install -D -m 0600 /boot-test/age.txt /run/fetched/key.txt";
}
