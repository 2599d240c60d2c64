# A command that prints a key, known to everything in the user's session. It may be a set-id wrapper, so it keeps its privileges.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/key.txt";
  sops.secrets.one = {};
  systemd.user.sessionVariables.SOPS_AGE_KEY_CMD = "/run/wrappers/bin/op read op://vault/key";
}
