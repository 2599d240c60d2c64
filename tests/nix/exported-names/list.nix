# The names that `tree`, a checkout of sops-nix, has for others: of its flake (outputs that have attributes by system or by name, to that
# depth), of its default.nix and overlay, and of its files.
{
  lib,
  tree,
}: let
  library = import lib;
  nixpkgs = {
    lib = library;
    legacyPackages = library.genAttrs ["x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin"] packages;
  };
  packages = system: {
    lib = library;
    stdenv.isLinux = library.hasSuffix "-linux" system;
    # Only names are asked for, and these are those of default.nix.
    callPackage = _: _: null;
  };

  flake = (import (tree + "/flake.nix")).outputs {
    self = flake;
    inherit nixpkgs;
  };
  # What is for the development of sops-nix alone is listed as a whole.
  development = ["apps" "checks" "darwinConfigurations" "devShells" "legacyPackages"];
  depth = output:
    if builtins.elem output development || builtins.isPath flake.${output}
    then 0
    else if output == "packages"
    then 2
    else 1;
  names = depth: prefix: value:
    if depth == 0
    then [prefix]
    else library.concatLists (library.mapAttrsToList (name: names (depth - 1) "${prefix}.${name}") value);

  files = directory:
    library.concatLists (library.mapAttrsToList (
      name: type:
        if type == "directory"
        then files "${directory}/${name}"
        else library.optional (library.hasSuffix ".nix" name && name != "shell.nix") (library.removeSuffix "/default.nix" "${directory}/${name}")
    ) (builtins.readDir (tree + "/${directory}")));
in
  map (name: "flake ${name}") (library.concatMap (output: names (depth output) output flake.${output}) (builtins.attrNames flake))
  ++ map (name: "default.nix ${name}") (builtins.attrNames (import (tree + "/default.nix") {pkgs = packages "x86_64-linux";}))
  ++ map (name: "overlay ${name}") (builtins.attrNames (flake.overlays.default {} {}))
  ++ map (file: "file ${file}") (files "modules" ++ files "pkgs")
