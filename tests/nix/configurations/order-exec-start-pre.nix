# The `ExecStartPre` of the installer fetches the key, in a namespace that the sandbox forbids.
{
  imports = [../orders/base.nix];
  systemd.services.sops-install-secrets.serviceConfig.ExecStartPre = [
    "/usr/bin/unshare --mount /usr/bin/install -D -m 0600 /boot-test/age.txt /run/fetched/key.txt"
  ];
}
