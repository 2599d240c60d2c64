# The class of a module. A configuration of another class refuses the module: "cannot be imported into a module evaluation that expects
# class …". An older lib has no classes and treats `_class` as an option. A configuration without a class (system-manager) accepts any.
lib: class:
if (builtins.functionArgs lib.evalModules) ? class
then {_class = class;}
else {}
