# The users and groups that the configuration declares. NixOS declares them lazily, and a file may take its owner from a service. So
# nothing here is evaluated before a file names an owner or a group.
{
  config,
  lib,
  options,
}: let
  machine = import ./machine.nix {inherit config lib options;};
  external = config.sops.external;
  users = config.users.users or {};
  groups = config.users.groups or {};

  # A user's `name` may differ from its attribute.
  byName = lib.mapAttrs' (attribute: account: lib.nameValuePair (account.name or attribute) account);
  usersByName = byName users;
  groupsByName = byName groups;
  externalUsers = lib.genAttrs external.users (_: null);
  externalGroups = lib.genAttrs external.groups (_: null);

  # NixOS itself refuses a user without a group.
  knows = name: sets: lib.elem name [null "" "root"] || lib.any (set: set ? ${name}) sets;
  knowsUser = name: knows name [users usersByName externalUsers];
  knowsGroup = name: knows name [groups groupsByName externalGroups];

  # The configuration does not have the users of another distribution. Files with neededForUsers always belong to root.
  asksForUser = file: !machine.foreign && !knowsUser file.owner;
  asksForGroup = file: !machine.foreign && !knowsGroup file.group;

  nearest = name: names: let
    distance = lib.strings.levenshtein name;
    limit = lib.stringLength name / 4 + 1;
    near = lib.filter (other: lib.strings.levenshteinAtMost limit name other) (lib.attrNames names);
  in
    # Older releases lack levenshteinAtMost.
    if !(lib.strings ? levenshteinAtMost) || near == []
    then null
    else lib.head (lib.sort (a: b: distance a < distance b) near);

  # Advice for a name that is not declared.
  advice = what: name: names: let
    found = nearest name names;
  in ''
    ${lib.optionalString (found != null) ''Did you mean "${found}"? ''}If it comes from elsewhere (made by hand, a directory server, a package), say so:
      sops.external.${what} = [ ${lib.strings.escapeNixString name} ];'';

  # Whether the configuration declares all accounts: it fixes the users, and names are looked up in local files alone.
  complete =
    !(config.users.mutableUsers or true)
    && lib.subtractLists ["files" "systemd"] (config.system.nssDatabases.passwd or ["unknown"] ++ config.system.nssDatabases.group or ["unknown"])
    == []
    && !(config.services.homed.enable or false)
    && !(config.services.userdbd.enable or false);
  exist = lib.filterAttrs (_: account: account.enable or true);
in {
  # The default group of an owner: the declared one. For an owner that may be a typo, an error.
  groupOf = owner:
    if users ? ${owner}
    then users.${owner}.group or null
    else if usersByName ? ${owner}
    then usersByName.${owner}.group or null
    else if machine.foreign || owner == "root" || externalUsers ? ${owner}
    then null
    else
      throw ''
        A file of sops has the owner "${owner}", a user that this configuration does not declare, and no group.
        ${advice "users" owner usersByName}
      '';

  assertions = option: file: {
    # sops-nix builds a file with a group, so that is only a warning below.
    assertion = asksForUser file -> (builtins.tryEval file.group).success;
    message = ''
      ${option}.owner is "${file.owner}", a user that this configuration does not declare: its group is not known.
      ${advice "users" file.owner usersByName}
    '';
  };

  warnings = option: file:
    lib.optionals (!file.neededForUsers) (
      lib.optional (asksForUser file && (builtins.tryEval file.group).success) ''
        ${option}.owner is "${file.owner}", a user that this configuration does not declare. Where there is none, the file will be root's.
        ${advice "users" file.owner usersByName}
      ''
      ++ lib.optional ((builtins.tryEval file.group).success && asksForGroup file) ''
        ${option}.group is "${file.group}", a group that this configuration does not declare. Where there is none, the file will be root's.
        ${advice "groups" file.group groupsByName}
      ''
    );

  # For the manifest: all accounts, if they are known and a file names another one. Otherwise nothing, so that new users do not change
  # the manifest.
  forManifest = files:
    if complete && lib.any (file: !file.neededForUsers && (asksForUser file || asksForGroup file)) files
    then {
      users = lib.attrNames (byName (exist users) // externalUsers);
      groups = lib.attrNames (byName (exist groups) // externalGroups);
    }
    else null;
}
