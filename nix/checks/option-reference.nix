# The committed option reference is what the modules say.
{
  lib,
  runCommand,
  writeText,
}:
runCommand "option-reference" {
  expected = writeText "options.md" (import ../option-docs.nix {inherit lib;});
} ''
  diff -u ${../../docs/reference/options.md} "$expected"
  touch "$out"
''
