# The services that get secrets and templates as credentials of systemd, and what is wrong with how they are named.
{
  config,
  lib,
  # Only for assertions.
  options ? {},
}: let
  sops = config.sops;
  inherit (import ../unit-name.nix {inherit lib;}) stem suffixOf unitName;

  files =
    lib.mapAttrsToList (name: secret: {
      option = "sops.secrets.${lib.strings.escapeNixIdentifier name}.credentialFor";
      inherit (secret) credentialFor name;
      place = "${directory secret}/${secret.name}";
    })
    sops.secrets
    ++ lib.mapAttrsToList (name: template: {
      option = "sops.templates.${lib.strings.escapeNixIdentifier name}.credentialFor";
      inherit (template) credentialFor name;
      # Not its `path`, where a link or a copy may be out of reach.
      place = "${directory template}/rendered/${template.name}";
    })
    sops.templates;
  directory = file:
    if file.neededForUsers
    then sops.secretsForUsersDir
    else sops.secretsDir;

  # A colon would end the name, and a slash be no part of one.
  credentialName = lib.stringAsChars (char:
    if builtins.match "[A-Za-z0-9._-]" char != null
    then char
    else "-");

  # One for each file and service.
  given = lib.concatMap (file:
    map (unit: {
      inherit (file) option place;
      unit = unitName unit;
      credential = credentialName file.name;
    })
    (lib.unique file.credentialFor))
  files;
  isService = {unit, ...}: suffixOf unit == "service" && !lib.hasInfix "@" unit;
  byService = lib.groupBy ({unit, ...}: stem unit) (lib.filter isService given);

  twice = lib.concatLists (lib.mapAttrsToList (
      service: given:
        lib.mapAttrsToList (credential: given: {
          inherit credential service;
          options = map ({option, ...}: option) given;
        }) (lib.filterAttrs (_: given: lib.length given > 1) (lib.groupBy ({credential, ...}: credential) given))
    )
    byService);

  # Services that the configuration does not define: a typo, or a unit of a package or generator, which a new definition would hide.
  undefined = lib.filter (service: !(config.systemd.services ? ${service})) (lib.attrNames byService);
  serviceOptions = options.systemd.services.type.getSubOptions [];
  # The text of a definition that adds `more` to a unit of a package as a drop-in; or null.
  dropIn = service: more: let
    words =
      ["overrideStrategy = \"asDropin\";"]
      # Otherwise the drop-in replaces the unit's PATH.
      ++ lib.optional (serviceOptions ? enableDefaultPath) "enableDefaultPath = false;"
      ++ more;
  in
    if serviceOptions ? overrideStrategy
    then "systemd.services.${lib.strings.escapeNixIdentifier service} = { ${lib.concatStringsSep " " words} };"
    else null;
  byHand = given: ''
    set there, in place of credentialFor:
    ${lib.concatMapStringsSep "\n" (given: "  LoadCredential=${load given}") given}'';

  # A percent sign starts a specifier there.
  load = {
    credential,
    place,
    ...
  }: "${credential}:${lib.replaceStrings ["%"] ["%%"] place}";
in {
  # A service's `LoadCredential`, by its name.
  loads = lib.mapAttrs (_: map load) byService;

  assertions =
    lib.optional (given != [] && !sops.credentials.enable) {
      assertion = false;
      message = ''
        ${lib.concatStringsSep ", " (lib.unique (map ({option, ...}: option) given))} is set, but services are given no credentials. Add:
          sops.credentials.enable = true;
      '';
    }
    ++ map (wrong: {
      assertion = false;
      message =
        if suffixOf wrong.unit == "service"
        then let
          service = "${lib.head (lib.splitString "@" wrong.unit)}@";
          line = "serviceConfig.LoadCredential = [ ${lib.strings.escapeNixString (load wrong)} ];";
          added = dropIn service [line];
        in ''
          ${wrong.option} names '${wrong.unit}', which shares its unit with all others of its template. In place of that,
          ${
            if config.systemd.services ? ${service}
            then "set:\n  systemd.services.${lib.strings.escapeNixIdentifier service}.${line}"
            else if added != null
            then "add to the unit of the template:\n  ${added}"
            else byHand [wrong]
          }
        ''
        else ''
          ${wrong.option} names '${wrong.unit}', which cannot be given a credential here: only services have them.
          Name the service in its place.
        '';
    }) (lib.filter (given: !isService given) given)
    ++ map ({
      credential,
      options,
      service,
    }: {
      assertion = false;
      message = ''
        ${lib.concatStringsSep " and " options} would both be the credential '${credential}' of ${service}.service.
        Give one of them a `name` that differs in more than its punctuation.
      '';
    })
    twice
    ++ map (service: {
      assertion = false;
      message = let
        added = dropIn service [];
      in ''
        ${lib.concatMapStringsSep " and " ({option, ...}: option) byService.${service}} names '${service}.service', which this
        configuration does not define: no program is started with the credential. Look for a typo. If the unit comes from elsewhere (a
        package in systemd.packages, a generator), ${
          if added != null
          then "add to it:\n  ${added}"
          else byHand byService.${service}
        }
      '';
    })
    undefined;
}
