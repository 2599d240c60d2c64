# No target starts the installer at boot: the key unit starts it.
{lib, ...}: {
  imports = [../orders/base.nix];
  systemd.services.fetch-key = lib.recursiveUpdate (import ../orders/fetch.nix) {
    wantedBy = ["multi-user.target"];
    serviceConfig.ExecStartPost = "/usr/bin/systemctl --no-block start sops-install-secrets.service";
  };
  systemd.services.sops-install-secrets.wantedBy = lib.mkForce [];
}
