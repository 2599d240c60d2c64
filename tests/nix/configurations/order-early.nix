# A unit without default dependencies brings the key: nothing has to be late.
{lib, ...}: {
  imports = [../orders/base.nix];
  systemd.services.fetch-key =
    lib.recursiveUpdate (import ../orders/fetch.nix)
    {
      unitConfig.DefaultDependencies = false;
      wantedBy = ["sops-install-secrets.service"];
      before = ["sops-install-secrets.service"];
    };
}
