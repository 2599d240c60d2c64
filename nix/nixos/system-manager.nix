# system-manager's own definitions for the units of this module, and their consequences.
{
  config,
  lib,
  options,
  ...
}: let
  machine = import ./machine.nix {inherit config lib options;};
  after = config.systemd.services.sops-install-secrets-for-users.after or [];
in {
  # system-manager orders the unit after local-fs.target for keys on a separate file system. That is a cycle: userborn waits for the unit,
  # device nodes for userborn, and mounts for device nodes.
  warnings = lib.optional (machine.foreign && machine.userborn && lib.elem "local-fs.target" after) ''
    systemd.services.sops-install-secrets-for-users is ordered after local-fs.target, by system-manager, and userborn.service after that unit.
    Where something waits for local-fs-pre.target, as LVM does, this is an ordering cycle, and systemd leaves one of them out at boot.
    Remove that order: systemd.services.sops-install-secrets-for-users.after = lib.mkForce [ "sops-generate-age-key.service" ];
  '';
}
