# A step of the user's installer brings the key, and needs what its sandbox does not permit.
{
  imports = [../orders/home-base.nix];
  systemd.user.services.sops-nix.Service.ExecStartPre = "/usr/bin/unshare --user --map-root-user --mount /usr/bin/install -D -m 0600 /boot-test/user.txt /home/alice/fetched/key.txt";
}
