# The user's installer requires a socket, for example of an agent.
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
