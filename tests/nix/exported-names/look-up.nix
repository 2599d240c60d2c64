# What each of the names in `recorded` is in this repository: "there"; what a derivation would say that stands for
# it; or "missing".
{
  # tests/nix/nixpkgs, as tests/nix/names puts it together.
  nixpkgs,
  recorded,
  repository,
}: let
  nixpkgsFlake = (import (nixpkgs + "/flake.nix")).outputs {};
  inherit (nixpkgsFlake) lib;
  pkgs = nixpkgsFlake.legacyPackages.x86_64-linux // {inherit pkgs;};

  flake = (import (repository + "/flake.nix")).outputs {
    self = flake;
    nixpkgs = nixpkgsFlake;
  };

  # As people call it: with an argument that only sops-nix has.
  withoutFlake = import (repository + "/default.nix") {
    inherit pkgs;
    vendorHash = "";
  };
  overlaid = flake.overlays.default pkgs pkgs;

  of = {
    flake = name: lib.attrByPath (lib.splitString "." name) null flake;
    "default.nix" = name: withoutFlake.${name} or null;
    overlay = name: overlaid.${name} or null;
    file = name: let
      path = repository + "/${name}";
    in
      if !builtins.pathExists path
      then null
      else if lib.hasPrefix "pkgs/" name
      then lib.callPackageWith pkgs path {vendorHash = "";}
      else path;
  };

  say = value:
    if value == null
    then "missing"
    else if builtins.isPath value
    then
      if (builtins.tryEval (import value)).success
      then "there"
      # A file that is `throw ''` and a text.
      else "says: ${trim (lib.elemAt (lib.splitString "\n" (builtins.readFile value)) 1)}"
    else if value ? type && value.type == "derivation"
    then
      builtins.seq value.drvPath (
        if value ? text
        then "says: ${builtins.head (lib.splitString "\n" value.text)}"
        else "there"
      )
    else "there";
  trim = text: builtins.head (builtins.match " *(.*)" text);
in
  map (
    line: let
      words = builtins.match "([^ ]+) (.*)" line;
    in "${line}\t${say (of.${lib.head words} (lib.last words))}"
  ) (lib.filter (line: line != "") (lib.splitString "\n" (builtins.readFile recorded)))
