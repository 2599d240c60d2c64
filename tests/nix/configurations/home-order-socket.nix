# The user's installer needs a socket, as an agent has one.
{lib, ...}: {
  imports = [../orders/home-base.nix];
  sops.age.keyFile = lib.mkForce "/boot-test/user.txt";
  systemd.user.sockets.agent.Socket.ListenStream = "%t/agent";
  systemd.user.services.agent.Service.ExecStart = "/usr/bin/sleep infinity";
  systemd.user.services.sops-nix.Unit = {
    After = ["agent.socket"];
    Requires = ["agent.socket"];
  };
}
