# The option reference, as markdown: every option of the two modules, from the modules themselves. It takes nixpkgs' lib and
# nothing else.
{lib}: let
  inherit (lib) concatMapStrings concatStringsSep filter hasInfix hasPrefix optional optionalString;

  optionsOf = class: module:
    filter (option: hasPrefix "sops." option.name && !hasInfix "._module." option.name) (lib.optionAttrSetToDocList
      (lib.evalModules {
        inherit class;
        modules = [
          module
          # What the modules set in the rest of a system is of no interest here, and neither are its packages.
          {
            _module.check = false;
            _module.args.pkgs = throw "an option's default needs pkgs, and has no defaultText";
          }
        ];
      })
      .options);

  platforms = {
    "NixOS" = optionsOf "nixos" ./nixos;
    "home-manager" = optionsOf "homeManager" ./home-manager;
  };
  all = lib.concatLists (lib.mapAttrsToList (platform: map (option: {inherit platform option;})) platforms);
  names = lib.naturalSort (lib.unique (map (entry: entry.option.name) all));
  ofName = name: filter (entry: entry.option.name == name) all;

  # The text of an option; where both platforms have the same, it is there once.
  entry = name: let
    texts = map (found: {
      inherit (found) platform;
      text = body found.option;
    }) (ofName name);
    distinct = lib.unique (map (found: found.text) texts);
    platformsOf = text: map (found: found.platform) (filter (found: found.text == text) texts);
  in
    "\n### `${name}`\n"
    + concatMapStrings (text: "\n*${concatStringsSep ", " (platformsOf text)}*\n\n${text}") distinct;

  body = option:
    prose (option.description or "")
    + "\n- Type: ${type option.type}\n"
    + value "Default" (option.default or null)
    + value "Example" (option.example or null);

  # Releases of nixpkgs word some types differently.
  type = lib.replaceStrings ["absolute path"] ["path"];

  value = title: rendered:
    optionalString (rendered != null) (
      if rendered._type == "literalMD"
      then "- ${title}: ${removeRoles (lib.removeSuffix "\n" rendered.text)}\n"
      else if hasInfix "\n" rendered.text
      then "- ${title}:\n\n  ```nix\n${indented rendered.text}  ```\n"
      else "- ${title}: `${rendered.text}`\n"
    );
  indented = text:
    concatMapStrings (line:
      if line == ""
      then "\n"
      else "  ${line}\n")
    (lib.splitString "\n" (lib.removeSuffix "\n" text));

  prose = text: "${removeRoles (lib.removeSuffix "\n" (text.text or text))}\n";
  # What NixOS' own manual makes links of.
  removeRoles = lib.replaceStrings ["{option}`" "{file}`" "{env}`" "{var}`" "{command}`"] ["`" "`" "`" "`" "`"];

  isVisible = name: lib.any (found: found.option.visible) (ofName name);
  isInternal = name: lib.all (found: found.option.internal) (ofName name);

  branches = [
    {
      title = "Secrets";
      prefix = "sops.secrets";
    }
    {
      title = "Groups of secrets";
      prefix = "sops.secretGroups";
    }
    {
      title = "Templates";
      prefix = "sops.templates";
    }
    {
      title = "age keys";
      prefix = "sops.age";
    }
    {
      title = "OpenPGP keys";
      prefix = "sops.gnupg";
    }
    {
      title = "What the configuration does not declare";
      prefix = "sops.external";
    }
  ];
  within = prefix: name: name == prefix || hasPrefix "${prefix}." name;
  visible = filter isVisible names;
  section = title: members: optional (members != []) "\n## ${title}\n${concatMapStrings entry members}";

  hidden = filter (name: !isVisible name && !isInternal name) names;
  other = name: "- `${name}`: ${lib.removeSuffix "\n" (prose (lib.head (ofName name)).option.description)}\n";
in
  concatStringsSep "" (
    [
      ''
        # Options

        Every option of the NixOS module and of the home-manager module. This page is made from the modules, by
        `tests/nix/option-reference --update`; their text is in `nix/options`.
      ''
    ]
    ++ lib.concatMap ({
      title,
      prefix,
    }:
      section title (filter (within prefix) visible))
    branches
    ++ section "Everything else" (filter (name: !lib.any ({prefix, ...}: within prefix name) branches) visible)
    ++ optional (hidden != []) "\n## Other names\n\n${concatMapStrings other hidden}"
  )
