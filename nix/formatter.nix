# `nix fmt`: lays out the Nix files among the arguments, or below the current directory when there are none.
{
  callPackage,
  findutils,
  writeShellApplication,
}:
writeShellApplication {
  name = "format";
  runtimeInputs = [
    (callPackage ./lint.nix {})
    findutils
  ];
  text = ''
    find "''${@:-.}" -name target -prune -o -name '*.nix' -exec lint --format {} +
  '';
}
