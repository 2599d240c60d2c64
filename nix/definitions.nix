# The definitions that the configuration itself, not this module, gives for a unit of ours. Reading the merged unit would be infinite
# recursion: our own definitions depend on the result.
{
  lib,
  # The option that holds the units.
  option,
  # Directory of the module, whose definitions are excluded.
  module,
}: unit: let
  # `mkIf`, `mkMerge`, `mkForce` and the like, undone at one level.
  discharged = value: let
    type = value._type or "";
  in
    if type == "merge"
    then lib.concatMap discharged value.contents
    else if type == "if"
    then lib.optionals value.condition (discharged value.content)
    else if type == "override" || type == "order"
    then discharged value.content
    else [value];
  below = path: values:
    lib.foldl' (values: attribute:
      lib.concatMap (value: lib.optionals (lib.isAttrs value && value ? ${attribute}) (discharged value.${attribute})) values)
    values
    path;

  theirs = lib.filter (definition: !lib.hasPrefix "${toString module}/" (toString definition.file)) (option.definitionsWithLocations or []);
  definitions = below [unit] (lib.concatMap (definition: discharged definition.value) theirs);
in {
  # Every value that is given for an attribute: `values ["unitConfig" "After"]`.
  values = path: below path definitions;
  # The names of the attributes that are given at a path.
  names = path: lib.concatMap lib.attrNames (lib.filter lib.isAttrs (below path definitions));
  # Whether a definition is a function or a module with `imports` or `config`, so that its content is unknown.
  opaque = lib.any (definition: !lib.isAttrs definition || definition ? imports || definition ? config) definitions;
}
