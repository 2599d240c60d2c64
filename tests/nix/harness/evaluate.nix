# A configuration through `lib.evalModules`, with the module under test and stubs for the rest of the system.
#
#   nix-instantiate --eval --strict --json evaluate.nix -A output --arg lib PATH --arg nixos MODULE --arg home MODULE
#     --arg configuration FILE
#
# What kind of system it is for is in its file name: `home-…` is for home-manager, `nix-darwin-…` for nix-darwin, `system-manager-…` for
# system-manager as it is today, `…without-activation-scripts…` for an earlier one, `…nixos-without-scripts…` for a NixOS that no longer has
# activation scripts, `…darwin…` for another system than Linux.
{
  lib,
  nixos,
  home,
  configuration,
  # nix/modules/upstream/sops-nix.nix of a checkout of system-manager.
  systemManager ? ./system-manager-sops-nix.nix,
  # The program that checks the manifest when a derivation is built; nothing is installed that runs without it.
  program ? null,
}: let
  library = import ./lib.nix {path = lib;};
  inherit
    (library)
    attrNames
    concatStrings
    elem
    elemAt
    filter
    filterAttrs
    hasPrefix
    isAttrs
    isDerivation
    isList
    length
    listToAttrs
    mapAttrs
    optionalAttrs
    splitString
    ;
  isHome = hasPrefix "home-" (baseNameOf configuration);
  isDarwin = hasPrefix "nix-darwin-" (baseNameOf configuration);
  named = part: library.hasInfix part (baseNameOf configuration);

  packages = import ./packages.nix {
    lib = library;
    system =
      if named "darwin"
      then "aarch64-darwin"
      else "x86_64-linux";
  };

  # home-manager has no names for the manifest and for the script that its unit runs, so the text of each stands behind its
  # path, between two marks, until it is taken out again. A script's text has a manifest's path in it.
  manifestMark = "@manifest@";
  scriptMark = "@script@";
  between = mark: drv: text: drv // {outPath = concatStrings [drv.outPath mark text mark];};
  marked =
    packages
    // {
      callPackage = library.callPackageWith marked;
      writeTextFile = arguments: let
        drv = packages.writeTextFile arguments;
      in
        if hasPrefix "manifest" arguments.name
        then between manifestMark drv (builtins.toJSON (manifest drv))
        else drv;
      writeText = name: text: marked.writeTextFile {inherit name text;};
      writeShellScript = name: text: between scriptMark (packages.writeShellScript name text) text;
    };
  pkgs =
    if isHome && program == null
    then marked
    else packages;

  stubs =
    if isHome
    then [./home-manager.nix]
    else if isDarwin
    then [./nix-darwin.nix]
    else if hasPrefix "system-manager-" (baseNameOf configuration)
    then [
      ./without-activation-scripts.nix
      systemManager
      # Another of its files takes this name.
      {options.system.activationScripts.users = library.mkOption {default = "";};}
    ]
    else if named "without-activation-scripts"
    then [./without-activation-scripts.nix]
    else if named "nixos-without-scripts"
    then [./nixos-without-scripts.nix]
    else [./nixos.nix];

  package =
    if program == null
    then
      packages.runCommandLocal "sops-activate" {} ''
        mkdir -p $out/bin
        ln -s /usr/bin/false $out/bin/sops-install-secrets
      ''
    else
      packages.runCommandLocal "sops-activate" {} ''
        mkdir -p $out/bin
        cp ${program} $out/bin/sops-activate
        ln -s sops-activate $out/bin/sops-install-secrets
      '';

  hm.dag = rec {
    entryBetween = before: after: data: {inherit before after data;};
    entryAfter = entryBetween [];
    entryBefore = before: entryBetween before [];
    entryAnywhere = entryBetween [] [];
  };

  evaluation = library.evalModules {
    class =
      if isHome
      then "homeManager"
      else if isDarwin
      then "darwin"
      else if elem ./without-activation-scripts.nix stubs
      then null
      else "nixos";
    specialArgs =
      {inherit pkgs;}
      // optionalAttrs isHome {lib = library.extend (_: _: {inherit hm;});};
    modules =
      stubs
      ++ [
        (
          if isHome
          then home
          else if isDarwin
          then ../../../nix/darwin
          else nixos
        )
        configuration
        {sops.package = library.mkDefault package;}
      ];
  };
  inherit (evaluation) config options;

  failedAssertions = map (assertion: lines assertion.message) (filter (assertion: !assertion.assertion) config.assertions);

  warnings = map lines config.warnings;

  # Text line by line, so that a difference shows as one.
  lines = text: splitString "\n" (library.removeSuffix "\n" (builtins.unsafeDiscardStringContext text));

  # Without what says nothing, at any depth.
  essential = value:
    if isDerivation value
    then toString value
    else if isAttrs value
    then filterAttrs (_: field: !elem field [null [] {} ""]) (mapAttrs (_: essential) value)
    else if isList value
    then map essential value
    else if builtins.isString value && length (lines value) > 1
    then lines value
    else value;

  # Of a unit only what is not the default of every unit.
  unit = value:
    essential (value
      // mapAttrs (name: normal:
        if value.${name} or normal == normal
        then null
        else value.${name}) {
        enable = true;
        restartIfChanged = true;
        reloadIfChanged = false;
        stopIfChanged = true;
        overrideStrategy = "asDropinIfExists";
        enableDefaultPath = true;
      });
  units = kind: library.mapAttrs' (name: value: library.nameValuePair "${name}.${kind}" (unit value));

  manifest = drv: {
    inherit (drv) name;
    check = lines drv.checkPhase;
    content = builtins.fromJSON (builtins.unsafeDiscardStringContext drv.text);
  };

  nixosOutput =
    {
      manifest = manifest config.system.build.sops-nix-manifest;
      usersManifest = manifest config.system.build.sops-nix-users-manifest;
      units =
        units "service" config.systemd.services
        // units "target" config.systemd.targets
        // units "path" config.systemd.paths
        // units "socket" config.systemd.sockets
        // units "timer" config.systemd.timers;
      tmpfiles = config.systemd.tmpfiles.rules;
      systemPackages = map toString config.environment.systemPackages;
    }
    // optionalAttrs (library.isOption (options.system.activationScripts or null)) {
      activation = lines config.system.activationScripts.script;
      dryActivation = lines config.system.dryActivationScript;
      snippets =
        mapAttrs (_: snippet: {inherit (snippet) deps supportsDryActivation;})
        (removeAttrs config.system.activationScripts ["script"]);
    };

  homeOutput = let
    start = builtins.unsafeDiscardStringContext (config.systemd.user.services.sops-nix.Service.ExecStart or "");
    script = marks scriptMark start;
    manifests = marks manifestMark (concatStrings script);
  in
    {
      manifest =
        if manifests == []
        then null
        else builtins.fromJSON (elemAt manifests 0);
      script = lines (withoutMarks manifestMark (concatStrings script));
    }
    // builtins.fromJSON (withoutMarks manifestMark (withoutMarks scriptMark (
      builtins.unsafeDiscardStringContext (builtins.toJSON {
        units = mapAttrs (_: essential) config.systemd.user.services;
        targets = mapAttrs (_: essential) config.systemd.user.targets;
        activation = essential config.home.activation;
        inherit (config.home) sessionVariables;
        launchd = attrNames config.launchd.agents;
      })
    )));
  # What stands between marks, and what does not.
  every = remainder: list: map (elemAt list) (filter (index: builtins.bitAnd index 1 == remainder) (library.range 0 (length list - 1)));
  marks = mark: text: every 1 (splitString mark text);
  withoutMarks = mark: text: concatStrings (every 0 (splitString mark text));

  output =
    {
      inherit failedAssertions warnings;
    }
    // (
      if isHome
      then homeOutput
      else if isDarwin
      then {}
      else nixosOutput
    );

  # What tests/boot needs beside that, to boot it: mounts, and units of other kinds than services.
  booted =
    output
    // (
      if isHome
      then {
        userUnits =
          withSuffix "service" output.units
          // withSuffix "socket" config.systemd.user.sockets
          // withSuffix "target" config.systemd.user.targets;
      }
      else {
        units =
          output.units
          // listToAttrs (map (mount: {
              name = "${builtins.replaceStrings ["/"] ["-"] (library.removePrefix "/" mount.where)}.mount";
              value = essential mount;
            })
            config.systemd.mounts);
        fstab =
          map (fileSystem: "${fileSystem.device} ${fileSystem.mountPoint} ${fileSystem.fsType} ${library.concatStringsSep "," fileSystem.options} 0 0")
          (library.attrValues config.fileSystems);
      }
    );
  withSuffix = kind: library.mapAttrs' (name: value: library.nameValuePair "${name}.${kind}" (essential value));
in {
  inherit booted output;

  # All that is built of it: home-manager's manifest along with the script that names it.
  manifests =
    if isHome
    then map (unit: packages.runCommandLocal "home-manager" {} "cat ${unit.Service.ExecStart} >$out") (library.optional (config.systemd.user.services ? sops-nix) config.systemd.user.services.sops-nix)
    else [config.system.build.sops-nix-manifest config.system.build.sops-nix-users-manifest];

  # What a person is told; what would be built is built only when nothing is wrong.
  messages = {
    inherit warnings;
    failedAssertions =
      if failedAssertions == []
      then builtins.deepSeq output []
      else failedAssertions;
  };

  # The table of options, without their descriptions.
  options = map (option: {
    inherit (option) name type visible internal readOnly;
    default = option.default.text or option.default or null;
  }) (filter (option: hasPrefix "sops." option.name && !library.hasInfix "._module." option.name) (library.optionAttrSetToDocList options));
}
