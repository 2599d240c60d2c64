# The installer comes after a unit without default dependencies, and this after the key unit.
{
  imports = [../orders/base.nix];
  systemd.services.fetch-key = import ../orders/fetch.nix;
  systemd.services.check-key = {
    unitConfig.DefaultDependencies = false;
    after = ["fetch-key.service"];
    requires = ["fetch-key.service"];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = "/usr/bin/test -s /run/fetched/key.txt";
    };
  };
  systemd.services.sops-install-secrets = {
    after = ["check-key.service"];
    requires = ["check-key.service"];
  };
}
