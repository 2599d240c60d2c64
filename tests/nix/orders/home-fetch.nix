# The [Service] of a unit that brings the key.
{
  Type = "oneshot";
  RemainAfterExit = true;
  ExecStart = "/usr/bin/install -D -m 0600 /boot-test/user.txt /home/alice/fetched/key.txt";
}
