# The virtual-machine tests of `nix/tests`, with each machine and each of its specialisations evaluated, and not built.
#
#   nix-instantiate --eval --strict --json tests.nix --arg lib PATH
{lib}: let
  library = import ../harness/lib.nix {path = lib;};
  inherit (library) attrNames evalModules filter mapAttrs mkOption types;

  packages = import ../harness/packages.nix {lib = library;};
  pkgs = packages // {testers = {inherit runNixOSTest;};};
  package = packages.runCommandLocal "sops-activate" {} "ln -s /usr/bin/false $out";

  hm.dag = {
    entryAfter = after: data: {
      inherit after data;
      before = [];
    };
  };

  # What is asked for of an evaluation: that nothing in it fails, and what the test's script may name.
  machine = evaluation: let
    inherit (evaluation) config;
    units = config.systemd.services;
    everything = [
      config.system.build.sops-nix-manifest.text
      config.system.build.sops-nix-users-manifest.text
      config.system.activationScripts.script
      config.system.dryActivationScript
      units
    ];
  in
    builtins.deepSeq (map (value: builtins.unsafeDiscardStringContext (builtins.toJSON value)) everything) {
      failedAssertions = map (assertion: assertion.message) (filter (assertion: !assertion.assertion) config.assertions);
      inherit (config) warnings;
      units = map (name: "${name}.service") (attrNames units);
    };

  user = name: module: let
    inherit
      (evalModules {
        class = "homeManager";
        specialArgs = {
          pkgs = packages;
          lib = library.extend (_: _: {inherit hm;});
        };
        modules = [
          ../harness/home-manager.nix
          module
          {
            home.username = name;
            sops.package = package;
          }
        ];
      })
      config
      ;
  in
    builtins.deepSeq [config.home.activation config.systemd.user.services] {
      failedAssertions = map (assertion: assertion.message) (filter (assertion: !assertion.assertion) config.assertions);
      inherit (config) warnings;
      units = map (unit: "${unit}.service") (attrNames config.systemd.user.services);
    };

  runNixOSTest = module: let
    inherit
      (evalModules {
        specialArgs = {inherit pkgs;};
        modules = [
          {
            options = {
              name = mkOption {type = types.str;};
              nodes = mkOption {type = types.attrsOf types.deferredModule;};
              defaults = mkOption {type = types.deferredModule;};
              testScript = mkOption {type = types.str;};
            };
          }
          module
        ];
      })
      config
      ;
    evaluate = name: node:
      evalModules {
        class = "nixos";
        specialArgs.pkgs = packages;
        modules = [
          ../harness/nixos.nix
          ./machine.nix
          {
            networking.hostName = name;
            sops.package = package;
          }
          config.defaults
          node
        ];
      };
    evaluations = mapAttrs evaluate config.nodes;
  in {
    inherit (config) name testScript;
    nodes = mapAttrs (_: machine) evaluations;
    specialisations = mapAttrs (_: evaluation:
      mapAttrs (_: specialisation: machine (evaluation.extendModules {modules = [specialisation.configuration];}))
      evaluation.config.specialisation)
    evaluations;
    users = mapAttrs (_: evaluation: mapAttrs user (evaluation.config.home-manager.users or {})) evaluations;
  };
in
  import ../../../nix/tests {
    inherit pkgs;
    home-manager = ./home-manager;
  }
