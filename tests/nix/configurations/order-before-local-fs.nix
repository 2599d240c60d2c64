# A key unit without default dependencies comes before local-fs.target, as with impermanence.
{lib, ...}: {
  imports = [../orders/base.nix];
  systemd.services.persist-key =
    lib.recursiveUpdate (import ../orders/fetch.nix)
    {
      unitConfig.DefaultDependencies = false;
      wantedBy = ["local-fs.target"];
      before = ["local-fs.target"];
      # It would come too late for whoever does not wait for it.
      serviceConfig.ExecStartPre = ["/usr/bin/sleep 1"];
    };
}
