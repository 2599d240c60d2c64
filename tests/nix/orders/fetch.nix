# A service that brings the key, as one that asks a TPM or a server for it. tests/boot has the key where this takes it from.
{
  serviceConfig = {
    Type = "oneshot";
    RemainAfterExit = true;
    ExecStart = "/usr/bin/install -D -m 0600 /boot-test/age.txt /run/fetched/key.txt";
  };
}
