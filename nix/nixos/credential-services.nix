# The services that get secrets and templates as credentials of systemd, and what is wrong with how they are named.
{
  config,
  lib,
  unknownUnits,
}: let
  sops = config.sops;
  inherit (import ../unit-name.nix {inherit lib;}) suffixOf unitName;

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
  byService = lib.groupBy ({unit, ...}: unknownUnits.stem unit) (lib.filter isService given);

  twice = lib.concatLists (lib.mapAttrsToList (
      service: given:
        lib.mapAttrsToList (credential: given: {
          inherit credential service;
          options = map ({option, ...}: option) given;
        }) (lib.filterAttrs (_: given: lib.length given > 1) (lib.groupBy ({credential, ...}: credential) given))
    )
    byService);

  # Nothing but what is set here says that there is such a service.
  isEmpty = service: let
    unit = config.systemd.services.${service};
  in
    !(unit.serviceConfig ? ExecStart) && unit.script or "" == "" && !unknownUnits.elsewhere "${service}.service";
in {
  # A service's `LoadCredential`, by its name. A percent sign starts a specifier there.
  loads = lib.mapAttrs (_:
    map ({
      credential,
      place,
      ...
    }: "${credential}:${lib.replaceStrings ["%"] ["%%"] place}"))
  byService;

  assertions =
    map (wrong: {
      assertion = false;
      message = ''
        ${wrong.option} names '${wrong.unit}', which cannot be given a credential here: only services have
        them, and those of a template share one unit. Set LoadCredential where the unit is defined:
          serviceConfig.LoadCredential = [ "${wrong.credential}:${wrong.place}" ];
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
    twice;

  warnings = map (service: ''
    ${lib.concatMapStringsSep " and " ({option, ...}: option) byService.${service}} names '${service}.service', which this
    configuration does not define: no program is started with the credential. Look for a slip of the pen.
  '') (lib.filter isEmpty (lib.attrNames byService));
}
