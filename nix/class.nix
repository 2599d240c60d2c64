# What makes a module refuse a configuration of another kind, in words: "cannot be imported into a module evaluation that expects class …".
# An older lib knows no classes, and takes `_class` for an option. Where a configuration has no class (system-manager), it says nothing.
lib: class:
if (builtins.functionArgs lib.evalModules) ? class
then {_class = class;}
else {}
