# `sops.gnupg`: OpenPGP keys, in a keyring of GnuPG or made from RSA host keys.
{userMode}: {
  config,
  lib,
  options,
  pkgs,
  ...
}: let
  inherit (lib) literalExpression literalMD mkOption optionalAttrs types;
  hostKeys = import ./host-keys.nix {inherit config lib options;};
in {
  options.sops.gnupg =
    {
      home = mkOption {
        type = types.nullOr types.str;
        default = null;
        example =
          if userMode
          then "/home/alice/.gnupg"
          else "/root/.gnupg";
        description = "Directory of GnuPG with the keyring that can open the sops files.";
      };
      sshKeyPaths = mkOption {
        type = types.listOf types.path;
        default =
          if userMode
          then []
          else hostKeys "rsa";
        defaultText =
          if userMode
          then literalExpression "[ ]"
          else literalMD "the rsa keys in {option}`services.openssh.hostKeys`";
        description = ''
          RSA SSH keys to be used as OpenPGP keys. It must be empty where {option}`sops.gnupg.home` is set.
        '';
      };
      package = mkOption {
        type = types.package;
        default = pkgs.gnupg;
        defaultText = literalExpression "pkgs.gnupg";
        description = "The GnuPG to run for files that only GnuPG can open.";
      };
    }
    // optionalAttrs userMode {
      qubes-split-gpg = {
        enable = lib.mkEnableOption "GnuPG in another qube (Split GPG of Qubes OS)";
        domain = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "vault-gpg";
          description = "Name of the qube that has the keys.";
        };
      };
    };
}
