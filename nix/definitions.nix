# What a configuration itself says of a unit of ours, definition by definition. The merged unit cannot be asked: what we add to it
# depends on the answer.
{
  lib,
  # The option that holds the units.
  option,
  # Directory of the module, which is no part of the configuration.
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
  # A submodule in the form of a function or with modules in it, which may say anything.
  opaque = lib.any (definition: !lib.isAttrs definition || definition ? imports || definition ? config) definitions;
}
