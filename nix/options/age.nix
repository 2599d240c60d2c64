# `sops.age`: the age keys of the machine or the user.
{userMode}: {
  config,
  lib,
  options,
  ...
}: let
  inherit (lib) literalExpression literalMD mkOption types;
  hostKeys = import ./host-keys.nix {inherit config lib options;};
  # The store is readable for everybody, and is copied to other machines.
  pathNotInStore = lib.mkOptionType {
    name = "pathNotInStore";
    description = "path not in the Nix store";
    descriptionClass = "noun";
    check = path: !inStore (/. + path);
    merge = lib.mergeEqualOption;
  };
  inStore =
    lib.path.hasStorePathPrefix
    or (path: lib.hasPrefix "${builtins.storeDir}/" (toString path));
in {
  options.sops.age = {
    keyFile = mkOption {
      type = types.nullOr pathNotInStore;
      default = null;
      example =
        if userMode
        then "/home/alice/.config/sops/age/keys.txt"
        else "/var/lib/sops-nix/key.txt";
      description = "File with age identities.";
    };
    generateKey = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Make a new age key in {option}`sops.age.keyFile` where that file is missing or empty. Otherwise the file has to be brought there.
      '';
    };
    sshKeyPaths = mkOption {
      type = types.listOf types.path;
      default =
        if userMode
        then []
        else hostKeys "ed25519";
      defaultText =
        if userMode
        then literalExpression "[ ]"
        else literalMD "the ed25519 keys in {option}`services.openssh.hostKeys`";
      description = "SSH keys to be used as age identities.";
    };
    plugins = mkOption {
      type = types.listOf types.package;
      default = [];
      example = literalExpression "[ pkgs.age-plugin-tpm ]";
      description = "Packages with age plugins (`age-plugin-…`).";
    };
  };
}
