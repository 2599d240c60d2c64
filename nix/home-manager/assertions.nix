# What makes no sense for a user.
{
  config,
  lib,
  options,
  pkgs,
  ...
}: let
  sops = config.sops;
  inherit (sops) gnupg;
  split = gnupg.qubes-split-gpg;

  common = import ../assertions.nix {
    inherit lib options sops;
    installedDirectories = [sops.defaultSymlinkPath sops.defaultSecretsMountPoint];
    inMemory = path: lib.any (directory: lib.hasPrefix "${directory}/" path) ["%r" "/run" "/dev/shm"];
  };
  hasKey = gnupg.home != null || gnupg.sshKeyPaths != [] || split.enable || sops.age.keyFile != null || sops.age.sshKeyPaths != [];
  gnupgSources = lib.count (used: used) [(gnupg.home != null) (gnupg.sshKeyPaths != []) split.enable];
in {
  config = lib.mkIf (sops.secrets != {} || sops.templates != {} || sops.removeLeftovers) {
    assertions =
      [
        {
          assertion = pkgs.stdenv.hostPlatform.isLinux;
          message = ''
            This module installs secrets on Linux only. On ${pkgs.stdenv.hostPlatform.system}, use the home-manager module of sops-nix, which
            has the same options.
          '';
        }
        {
          assertion = sops.secrets != {} -> hasKey;
          message = ''
            No key source configured for sops: nothing could open the secrets.
            Set sops.age.keyFile, sops.age.sshKeyPaths, sops.gnupg.home or sops.gnupg.qubes-split-gpg.enable.
          '';
        }
        {
          assertion = gnupgSources <= 1;
          message = ''
            Exactly one of sops.gnupg.home, sops.gnupg.qubes-split-gpg.enable and sops.gnupg.sshKeyPaths must be set.
            Keep the one that has the key, and remove the others.
          '';
        }
        {
          assertion = split.enable -> split.domain != null && split.domain != "";
          message = ''
            sops.gnupg.qubes-split-gpg.domain is required when sops.gnupg.qubes-split-gpg.enable is set to true.
            Set it to the name of the qube that has the keys, for example "vault-gpg".
          '';
        }
      ]
      ++ common.assertions;
    inherit (common) warnings;
  };
}
