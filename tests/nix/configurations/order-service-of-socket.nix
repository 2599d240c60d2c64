# A socket has the installer's name: systemd orders a service after its socket.
{lib, ...}: {
  imports = [../orders/base.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/age.txt";
  systemd.sockets.sops-install-secrets = {
    wantedBy = ["sockets.target"];
    socketConfig.ListenStream = "/run/secrets-please";
  };
}
