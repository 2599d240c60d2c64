# What makes no sense on NixOS and in home-manager alike. Each text names the option and what to write instead.
{
  lib,
  # `config.sops`, and the options under that name.
  sops,
  options,
  # Directories that exist only once secrets are installed.
  installedDirectories,
  # Whether a path is in memory, so that a copy there is as good as a link.
  inMemory,
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
        if forUsers secret
        then "for users: ${secret.name}"
        else secret.name;
    })
    sops.secrets
    ++ lib.mapAttrsToList (name: template: {
      option = templateOption name;
      inherit (template) path;
      place =
        if forUsers template
        then "for users: rendered/${template.name}"
        else "rendered/${template.name}";
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

  # What is needed for users is in a manifest of its own, and rendered before all else is there.
  forUsers = file: file.neededForUsers or false;

  # Most placeholders have one form. A template is searched once for that form, not once for each secret. Only texts that a
  # configuration sets in `sops.placeholder` are searched for one by one.
  mark = "(<SOPS:[0-9a-f]{64}:(PLACEHOLDER|JSON|SHELL)>)";
  isMark = {text, ...}: builtins.match mark text != null;
  texts =
    lib.concatMap (
      secret:
        map (text: {
          inherit secret;
          text = builtins.unsafeDiscardStringContext (toString text);
        }) [sops.placeholder.${secret} sops.placeholderJson.${secret} sops.placeholderShell.${secret}]
    )
    (lib.attrNames sops.secrets);
  byMark = lib.groupBy ({text, ...}: text) (lib.filter isMark texts);
  otherTexts = lib.filter (text: !isMark text) texts;
  standsIn = content:
    lib.concatMap (part: lib.optionals (lib.isList part) (byMark.${lib.head part} or [])) (builtins.split mark content)
    # Not lib.hasInfix: its regular expression needs stack in proportion to the length of the content.
    ++ lib.filter ({text, ...}: lib.replaceStrings [text] [""] content != content) otherTexts;
  secretsOf = found: lib.attrNames (lib.groupBy ({secret, ...}: secret) found);

  # What stands in each template, where that matters. Only in `content`; what a `file` says is not known before it is built.
  whole = secret: secret.format == "binary" && !secret.trimTrailingNewline;
  found = let
    all = lib.any (secret: forUsers secret || whole secret) (lib.attrValues sops.secrets);
  in
    lib.mapAttrs (_: template: standsIn template.content) (
      lib.filterAttrs (_: template: all || forUsers template) sops.templates
    );
  # Pairs of a template and a secret, of what `select` leaves.
  pairs = select:
    lib.concatLists (
      lib.mapAttrsToList (template: found: map (secret: {inherit secret template;}) (secretsOf (select sops.templates.${template} found))) found
    );
  tooEarly = pairs (template: lib.filter ({secret, ...}: forUsers template && !forUsers sops.secrets.${secret}));
  tooLate = pairs (template: lib.filter ({secret, ...}: !forUsers template && forUsers sops.secrets.${secret}));

  # The bytes of a whole file, which mostly end in a newline, amid a line.
  broken = pairs (template: found: let
    bare = {
      secret,
      text,
    }:
      whole sops.secrets.${secret} && text == builtins.unsafeDiscardStringContext (toString sops.placeholder.${secret});
    amid = line: lib.filter (found: bare found && lib.replaceStrings [" "] [""] line != found.text) (standsIn line);
  in
    lib.optionals (!template.trimTrailingNewline && lib.any bare found) (lib.concatMap amid (lib.splitString "\n" template.content)));

  # Where a file is without a path of its own, or somebody else's.
  inStore = path: lib.any (directory: isBelow directory path) installedDirectories;
  copies =
    lib.filter (copy: copy.installMode == "copy")
    (lib.mapAttrsToList (name: secret: {
        option = secretOption name;
        inherit (secret) installMode path;
      })
      sops.secrets
      ++ lib.mapAttrsToList (name: template: {
        option = templateOption name;
        inherit (template) installMode path;
      })
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
          Name a key that is on the disk of the machine already, for example its SSH host key.
        '';
      }
      {
        assertion = tooLate == [];
        message = ''
          Templates are rendered after the users are made, without the secrets that were needed before:
          ${lib.concatMapStringsSep "\n" ({
            secret,
            template,
          }: "- ${templateOption template}.content has the placeholder of ${secretOption secret}, which has neededForUsers = true")
          tooLate}
          Add a second secret of the same value without neededForUsers, and use its placeholder:
          ${lib.concatMapStringsSep "\n" (secret: "  ${secretOption "${secret}-again"} = { inherit (config.${secretOption secret}) sopsFile format key extractKey; };")
            (lib.unique (map ({secret, ...}: secret) tooLate))}
        '';
      }
      {
        assertion = tooEarly == [];
        message = ''
          Templates with neededForUsers are rendered before there are other secrets than those that are needed for users:
          ${lib.concatMapStringsSep "\n" ({
            secret,
            template,
          }: "- ${templateOption template}.content has the placeholder of ${secretOption secret}, which does not have neededForUsers = true")
          tooEarly}
          Set it for the secret, or add a second one of the same value with it, and use its placeholder.
        '';
      }
    ]
    ++ map (copy: {
      assertion = !inStore copy.path;
      message = ''
        ${copy.option}.installMode is "copy", but there is nothing to copy to: its path, '${copy.path}', is where all secrets are.
        Set the `path` that the program looks at, or remove installMode.
      '';
    })
    copies
    ++ lib.mapAttrsToList (name: secret: {
      assertion = secret.extractKey == null || lib.elem secret.format ["dotenv" "ini"];
      message = ''
        ${secretOption name}.extractKey is for the formats dotenv and ini, and not for ${secret.format}.
        ${
          if secret.format == "binary"
          then "Remove it: a binary file is one value."
          else "Set key = ${lib.strings.escapeNixString (toString secret.extractKey)}; in its place."
        }
      '';
    })
    sops.secrets
    ++ lib.mapAttrsToList (name: template: {
      assertion = template.namedMarkers -> template.content == "";
      message = ''
        ${templateOption name}.namedMarkers is for a `file`, and this template has `content`.
        Remove it, and write "''${config.sops.placeholder.<name>}" in place of a marker.
      '';
    })
    sops.templates
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
    ++ map (copy: ''
      ${copy.option}.installMode is "copy", and this path is not known to be in memory:
        ${copy.path}
      It will lie on a disk, for whoever gets hold of that or of a backup. Use a path below /run, or a link, if the program takes one.
    '') (lib.filter (copy: !inStore copy.path && !inMemory copy.path) copies)
    ++ map ({
      secret,
      template,
    }: ''
      ${templateOption template}.content has ${secretOption secret} in a line with other text. That is the whole of a binary file, and the
      newline that such files mostly end in would break the line. Add, whether it has one or not:
        ${secretOption secret}.trimTrailingNewline = true;
    '')
    broken
    ++ lib.optional (setByUser options.sops.gnupg.package && sops.gnupg.home == null && sops.gnupg.sshKeyPaths == []) ''
      sops.gnupg.package is set, but no gpg is run without a key: set sops.gnupg.home or sops.gnupg.sshKeyPaths, or remove it.
    '';
}
