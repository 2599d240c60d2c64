# Text as systemd reads it back: `%` starts a specifier, a blank ends a word, and a backslash or a quote is not itself.
{lib}: let
  # Most text needs nothing, and stays readable.
  plain = text: builtins.match "[A-Za-z0-9/._:,@=+-]+" text != null;
  quoted = special: escaped: text:
    if plain text
    then text
    else "\"${lib.replaceStrings (["\\" "\""] ++ special) (["\\\\" "\\\""] ++ escaped) text}\"";
in {
  # A path in `RequiresMountsFor=`.
  path = quoted ["%"] ["%%"];
  # An argument in `ExecStart=`, where `$` starts a variable.
  argument = quoted ["%" "$"] ["%%" "$$"];
  # An assignment in `Environment=`. Specifiers are left to whoever wrote the value: "%h" is of use there.
  assignment = quoted ["\n"] ["\\n"];

  # The name of the mount unit of a path, as `systemd-escape --path` has it for printable ASCII.
  mountUnit = path: let
    escape = lib.strings.escapeC (lib.stringToCharacters " !\"#$%&'()*+,;<=>?@[\\]^`{|}~-");
    parts = lib.filter (part: part != "" && part != ".") (lib.splitString "/" path);
    name = lib.concatMapStringsSep "-" escape parts;
  in
    if parts == []
    then "-.mount"
    else if lib.hasPrefix "." name
    then "\\x2e${lib.removePrefix "." name}.mount"
    else "${name}.mount";
}
