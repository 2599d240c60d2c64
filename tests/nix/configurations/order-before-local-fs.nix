# A service that comes before local-fs.target puts the key in place, as impermanence does.
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
