# Options -> manifest.json. The only Nix file that knows the names in the manifest, which are those of sops-install-secrets:
# its module and its program can stand in for ours, and ours for theirs. A build that succeeds has a manifest that was checked.
{
  lib,
  pkgs,
  # `config.sops`
  sops,
}: {
  # File name of the manifest in the store, without `.json`.
  name,
  # The secrets and templates that go into it, by attribute name.
  secrets,
  templates,
  # Where they are put; and what only the system has, or only the user mode.
  placement,
  # The package that checks.
  validationPackage,
  # For messages about what this host could open.
  hostName ? "",
  # The names of all users and groups of this host, or null: if not all are known, or every owner and group is declared.
  accounts ? null,
}: let
  manifest =
    {
      secrets = map written (lib.attrValues secrets);
      templates = map written (lib.attrValues templates);
      placeholderBySecretName = placeholders;
      keepGenerations = sops.keepGenerations;
      gnupgHome = sops.gnupg.home;
      sshKeyPaths = sops.gnupg.sshKeyPaths;
      ageKeyFile = sops.age.keyFile;
      ageSshKeyPaths = sops.age.sshKeyPaths;
      logging = {
        keyImport = lib.elem "keyImport" sops.log;
        secretChanges = lib.elem "secretChanges" sops.log;
      };
    }
    // placement
    // withoutDefaults {
      onFailure = "partial";
      hostRecipients = [];
      hostName = "";
      dummySecrets = false;
      accounts = null;
    } {
      inherit accounts;
      inherit (sops) onFailure;
      hostRecipients = sops.hostRecipients or [];
      hostName = lib.optionalString ((sops.hostRecipients or []) != []) hostName;
      dummySecrets = sops.testing.dummySecrets or false;
    };

  # The program knows a secret by the name that it is installed under.
  placeholders = let
    renamed = lib.filterAttrs (attribute: secret: sops.placeholder ? ${attribute} && !sops.placeholder ? ${secret.name}) secrets;
  in
    removeAttrs sops.placeholder (lib.attrNames renamed)
    // lib.mapAttrs' (attribute: secret: lib.nameValuePair secret.name sops.placeholder.${attribute}) renamed;

  # What sops-install-secrets does not know is there only where it says something: a configuration that uses none of it has the
  # manifest that sops-nix makes.
  withoutDefaults = defaults: lib.filterAttrs (name: value: !(defaults ? ${name} && value == defaults.${name}));
  written = file:
    withoutDefaults {
      extractKey = null;
      installMode = "symlink";
      namedMarkers = false;
      restartUserUnits = [];
      trimTrailingNewline = false;
    } (removeAttrs (withUnitNames file) (
      ["credentialFor"]
      # Of a secret, sops-nix' module writes it.
      ++ lib.optional (file ? content) "neededForUsers"
    ));

  # systemctl takes `nginx` for `nginx.service`, the lists that switch-to-configuration reads do not.
  withUnitNames = file: let
    lists = lib.mapAttrs (_: map unitName) (lib.getAttrs (unitLists file) file);
    # A service keeps the credentials that it was started with.
    credentials = lib.subtractLists (lists.restartUnits or []) (map unitName (file.credentialFor or []));
  in
    file // lists // lib.optionalAttrs (credentials != []) {restartUnits = lists.restartUnits ++ lib.unique credentials;};
  unitLists = file: lib.filter (list: file ? ${list}) ["restartUnits" "reloadUnits" "restartUserUnits"];
  inherit (import ./unit-name.nix {inherit lib;}) unitName;

  # Found here rather than by the program, because the build sandbox would only say that there is no such file.
  problems = lib.concatLists (lib.mapAttrsToList (
      name: secret: let
        option = "sops.secrets.${lib.strings.escapeNixIdentifier name}.sopsFile";
        file = toString secret.sopsFile;
      in
        lib.optional (!builtins.pathExists secret.sopsFile)
        "Cannot find path '${file}' set in ${option}. In a flake, a file has to be known to git: `git add` it."
        ++ lib.optional (!builtins.isPath secret.sopsFile && !lib.hasPrefix builtins.storeDir file)
        ''
          '${file}', set in ${option}, is not in the Nix store. Write it as a path (./secrets.yaml, without quotes), so that it is copied
            there, or set sops.validateSopsFiles = false to read it from the disk of the machine at activation.''
    )
    secrets);

  checkMode =
    if sops.validateSopsFiles
    then "sopsfile"
    else "manifest";
in
  if sops.validateSopsFiles && problems != []
  then throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (problem: "- ${problem}") problems}"
  else
    pkgs.writeTextFile {
      name = "${name}.json";
      text = builtins.toJSON manifest;
      checkPhase = ''
        ${validationPackage}/bin/sops-install-secrets -check-mode=${checkMode} "$out"
      '';
    }
