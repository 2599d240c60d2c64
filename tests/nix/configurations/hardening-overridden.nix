# What is said of a unit counts instead of what the module takes away from it, setting by setting.
{
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.useSystemdActivation = true;
  sops.secrets.one = {};
  systemd.services.sops-install-secrets.serviceConfig = {
    NoNewPrivileges = false;
    CapabilityBoundingSet = ["CAP_SYS_ADMIN" "CAP_SYS_PTRACE"];
    SystemCallFilter = "";
    MemorySwapMax = "1M";
    UMask = "0022";
  };
}
