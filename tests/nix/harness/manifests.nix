# The manifests of configurations, to be built with `program` as their check.
{
  lib,
  nixos,
  home,
  program,
  configurations,
}: let
  manifests = configuration: (import ./evaluate.nix {inherit lib nixos home configuration program;}).manifests;
in
  builtins.concatMap manifests configurations
