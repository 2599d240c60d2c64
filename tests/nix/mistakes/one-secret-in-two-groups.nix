# One secret in two groups that contradict each other.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secretGroups.first.keys = ["one"];
  sops.secretGroups.first.mode = "0400";
  sops.secretGroups.second.keys = ["one"];
  sops.secretGroups.second.mode = "0440";
}
