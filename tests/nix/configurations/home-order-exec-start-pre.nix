# The `ExecStartPre` of the user's installer fetches the key, in namespaces that the sandbox forbids.
{
  imports = [../orders/home-base.nix];
  systemd.user.services.sops-nix.Service.ExecStartPre = "/usr/bin/unshare --user --map-root-user --mount /usr/bin/install -D -m 0600 /boot-test/user.txt /home/alice/fetched/key.txt";
}
