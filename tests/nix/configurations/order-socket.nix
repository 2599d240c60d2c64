# The installer requires a socket, as a plugin for pcscd does; a connection starts the service that has the key.
{
  imports = [../orders/base.nix];
  systemd.sockets.cards = {
    socketConfig.ListenStream = "/run/cards";
    socketConfig.Accept = true;
  };
  systemd.services."cards@" = {
    serviceConfig.ExecStart = "/usr/bin/cat /boot-test/age.txt";
    serviceConfig.StandardOutput = "socket";
  };
  systemd.services.sops-install-secrets = {
    after = ["cards.socket"];
    requires = ["cards.socket"];
    # Its client.
    serviceConfig.ExecStartPre = ["/boot-test/client /run/cards /run/fetched/key.txt"];
  };
}
