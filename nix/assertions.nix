# What makes no sense on NixOS and in home-manager alike. Each text names the option and what to write instead.
{
  lib,
  # `config.sops`, and the options under that name.
  sops,
  options,
  # Directories that exist only once secrets are installed.
  installedDirectories,
  # Secrets that a template can have in it, by attribute name.
  templateSecrets,
}: let
  isBelow = import ./is-below.nix {inherit lib;};
  quote = lib.strings.escapeNixIdentifier;
  secretOption = name: "sops.secrets.${quote name}";
  templateOption = name: "sops.templates.${quote name}";
  setByUser = option: option.highestPrio < (lib.mkOptionDefault null).priority;

  files =
    lib.mapAttrsToList (name: secret: {
      option = secretOption name;
      inherit (secret) path;
      place =
        if secret.neededForUsers or false
        then "for users: ${secret.name}"
        else secret.name;
    })
    sops.secrets
    ++ lib.mapAttrsToList (name: template: {
      option = templateOption name;
      inherit (template) path;
      place = "rendered/${template.name}";
    })
    sops.templates;

  # Files with the same value of an attribute: for each value, the options.
  shared = attribute: among:
    lib.filterAttrs (_: options: lib.length options > 1) (
      lib.mapAttrs (_: map (file: file.option)) (lib.groupBy (file: file.${attribute}) among)
    );
  sharedPlaces = shared "place" files;
  # Two of one name have one path too, unless they say otherwise; the name is what to say then.
  sharedPaths = lib.filterAttrs (_: options: !lib.elem options (lib.attrValues sharedPlaces)) (shared "path" files);

  keys =
    lib.optional (sops.age.keyFile != null) {
      option = "sops.age.keyFile";
      path = sops.age.keyFile;
      set = true;
    }
    ++ lib.optional (sops.gnupg.home != null) {
      option = "sops.gnupg.home";
      path = sops.gnupg.home;
      set = true;
    }
    ++ map (path: {
      option = "sops.age.sshKeyPaths";
      inherit path;
      set = setByUser options.sops.age.sshKeyPaths;
    })
    sops.age.sshKeyPaths
    ++ map (path: {
      option = "sops.gnupg.sshKeyPaths";
      inherit path;
      set = setByUser options.sops.gnupg.sshKeyPaths;
    })
    sops.gnupg.sshKeyPaths;

  # Why a key is not there before the secrets are installed, or null.
  installer = key:
    lib.findFirst (_: true) null (
      map (file: file.option) (lib.filter (file: isBelow file.path (toString key.path)) files)
      ++ lib.filter (directory: isBelow directory (toString key.path)) installedDirectories
    );
  circular = lib.filter (key: installer key != null) keys;
  explain = key: "${key.option} names '${toString key.path}', which is there only once secrets are installed (${installer key})";

  storeKeys = lib.filter (key: builtins.isPath key.path || lib.hasPrefix "${builtins.storeDir}/" (toString key.path)) keys;

  # Only in `content`: what a `file` says is not known before it is built.
  unavailable = lib.concatLists (lib.mapAttrsToList (
      template: {content, ...}:
        lib.concatLists (lib.mapAttrsToList (
            secret: placeholder:
              lib.optional (!templateSecrets ? ${secret} && sops.secrets ? ${secret} && lib.hasInfix (toString placeholder) content)
              {inherit secret template;}
          )
          sops.placeholder)
    )
    sops.templates);
in {
  inherit keys secretOption setByUser templateOption;

  assertions =
    [
      {
        assertion = !(sops.gnupg.home != null && sops.age.keyFile != null);
        message = ''
          sops.gnupg.home and sops.age.keyFile cannot be used together.
          Remove one of them; an age key can also come from sops.age.sshKeyPaths.
        '';
      }
      {
        assertion = sops.age.generateKey -> sops.age.keyFile != null;
        message = ''
          sops.age.generateKey needs to know where the key is to be.
          Set, for example, sops.age.keyFile = "${options.sops.age.keyFile.example}";
        '';
      }
      {
        assertion = circular == [] || lib.length circular < lib.length keys;
        message = ''
          No key is there before the secrets that it is to open:
          ${lib.concatMapStringsSep "\n" (key: "- ${explain key}") circular}
          Name a key that is on the disk of the machine by itself, for example its SSH host key.
        '';
      }
      {
        assertion = unavailable == [];
        message = ''
          Templates are rendered after the users are made, without the secrets that were needed before:
          ${lib.concatMapStringsSep "\n" ({
            secret,
            template,
          }: "- ${templateOption template}.content has the placeholder of ${secretOption secret}, which has neededForUsers = true")
          unavailable}
          Add a second secret of the same key without neededForUsers, and use its placeholder:
            sops.secrets.<name> = { key = "<key of the first>"; };
        '';
      }
    ]
    ++ lib.mapAttrsToList (place: options: {
      assertion = false;
      message = ''
        ${lib.concatStringsSep " and " options} would be the same file, '${lib.removePrefix "for users: " place}'.
        Give each a `name` of its own.
      '';
    })
    sharedPlaces
    ++ lib.mapAttrsToList (path: options: {
      assertion = false;
      message = ''
        ${lib.concatStringsSep " and " options} have the same path, '${path}'.
        Give each a `path` of its own.
      '';
    })
    sharedPaths;

  warnings =
    map (key: ''
      ${explain key}: it counts for nothing when the machine boots. Remove it from ${key.option}.
    '') (lib.optionals (lib.length circular < lib.length keys) (lib.filter (key: key.set) circular))
    ++ map (key: ''
      ${key.option} names a key in the Nix store ('${toString key.path}' is copied there), which everybody on this machine can read.
      Write the path as a string, and bring the key to the machine by other means.
    '')
    storeKeys
    ++ lib.optional (setByUser options.sops.gnupg.package && sops.gnupg.home == null && sops.gnupg.sshKeyPaths == []) ''
      sops.gnupg.package is set, but no gpg is run without a key: set sops.gnupg.home or sops.gnupg.sshKeyPaths, or remove it.
    '';
}
