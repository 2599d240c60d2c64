# The units that a configuration orders before an installer, and the late ones among them.
#
# A unit with default dependencies starts after sysinit.target (in a user's manager: after basic.target). An installer that is ordered
# after such a unit and before that target closes a cycle. systemd breaks a cycle by deleting one of its jobs, and only logs that: the
# boot ends without secrets and without a failed unit.
{
  lib,
  # Units by full name, each with any of: `after`, `before`; `members` (of a target: the units that it pulls in); `memberOf` (the targets
  # that pull this one in); `triggers` (the services that it starts); `mountsFor` (paths); `defaultDependencies`; and `late`.
  units,
  # The mount units that a path depends on.
  mountsOf ? (_: []),
  # Whether a unit that is not among `units` is late.
  lateByName,
  # Units whose order depends on the result: reading it would be infinite recursion.
  ignored ? [],
}: let
  # foo@bar.service is an instance of foo@.service.
  unit = name: units.${name} or units.${template name} or {};
  template = name: let
    parts = builtins.match "([^@]*@).*(\\.[a-z]+)" name;
  in
    if parts == null
    then name
    else lib.concatStrings parts;

  index = attribute:
    lib.zipAttrsWith (_: lib.concatLists) (
      lib.mapAttrsToList (name: unit: lib.genAttrs (unit.${attribute} or []) (_: [name])) (removeAttrs units ignored)
    );
  saidBefore = index "before";
  triggering = index "triggers";
  pulledIn = index "memberOf";

  defaultDependencies = name: (unit name).defaultDependencies or true;
  # What a target pulls in comes before it, unless one of the two gives up default dependencies.
  members = name:
    lib.optionals (lib.hasSuffix ".target" name && defaultDependencies name)
    (lib.filter defaultDependencies ((unit name).members or [] ++ pulledIn.${name} or []));

  directlyBefore = name:
    (unit name).after
    or []
    ++ lib.concatMap mountsOf ((unit name).mountsFor or [])
    ++ saidBefore.${name} or []
    ++ triggering.${name} or []
    ++ members name;

  late = name: (unit name).late or (lateByName name);
in rec {
  # Every unit before `start`, and `start`. Whatever is before a late one is of no further interest.
  before = start:
    map (node: node.key) (lib.genericClosure {
      startSet = [{key = start;}];
      operator = {key}:
        lib.optionals (key == start || !late key) (map (key: {inherit key;}) (directlyBefore key));
    });
  lateBefore = start: lib.filter (name: name != start && late name) (before start);
}
