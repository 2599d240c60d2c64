# Stands for nixpkgs where there is none: `tests/nix/flake` puts nixpkgs' lib, the harness and the programs beside it.
{
  outputs = _: let
    lib = import ./harness/lib.nix {path = ./lib;};

    legacyPackages = lib.genAttrs ["x86_64-linux" "aarch64-linux" "aarch64-darwin"] (system: let
      base = import ./harness/packages.nix {inherit lib system;};
      none = name: base.runCommandLocal name {} "mkdir $out";
      pkgs =
        base
        // {
          inherit system;
          callPackage = lib.callPackageWith pkgs;
          pkgsStatic = pkgs;
          stdenv = base.stdenv // {hostPlatform = base.stdenv.hostPlatform // {inherit system;};};

          # Instead of a build, the program of that name which lies here; the rest of the derivation as it says.
          rustPlatform.buildRustPackage = package:
            lib.throwIfNot (builtins.pathExists package.cargoLock.lockFile && builtins.pathExists (package.src + "/Cargo.toml"))
            "${package.pname}: no sources"
            (base.runCommandLocal package.pname {inherit (package) version;} ''
              mkdir -p $out/bin
              cp ${./programs + "/${package.pname}"} $out/bin/${package.meta.mainProgram}
              # installShellFiles installs; here it is enough that the files are there.
              installManPage() { for file; do test -f "$file"; done; }
              installShellCompletion() { for file; do case $file in --*) ;; *) test -f "$file" ;; esac; done; }
              cd ${package.src}
              ${package.postInstall or ""}
            '')
            // package;
          mkShell = shell: base.runCommandLocal "shell" {inputs = shell.packages ++ shell.inputsFrom;} ": > $out";
          writeShellApplication = application: base.writeShellScript application.name application.text;
          # The tests are evaluated by `tests/nix/vm-tests`; here it is enough that each is one.
          testers.runNixOSTest = test: base.runCommandLocal "vm-test" {tests = toString (map builtins.typeOf test.imports);} ": > $out";

          # The lint, as it is; rustfmt and its kin have a check of their own in this repository's CI.
          cargo = base.runCommandLocal "cargo" {} ''
            mkdir -p $out/bin
            printf '#!/bin/sh\n:\n' > $out/bin/cargo
            chmod +x $out/bin/cargo
          '';
          # With the tools of `nativeBuildInputs` on PATH, as in a real build.
          runCommand = name: environment: script:
            base.runCommandLocal name environment ''
              for input in ''${nativeBuildInputs-}; do PATH=$input/bin:$PATH; done
              ${script}
            '';
        }
        // lib.genAttrs ["clippy" "findutils" "installShellFiles" "jq" "openssh" "openssl" "rust-analyzer" "rustfmt" "shellcheck" "sops" "ssh-to-age" "ssh-to-pgp" "strace" "versionCheckHook"] none;
    in
      pkgs);

    nixosSystem = {modules}:
      lib.evalModules {
        class = "nixos";
        modules =
          [
            ./harness/nixos.nix
            ({
              config,
              lib,
              ...
            }: {
              options.nixpkgs.hostPlatform = lib.mkOption {type = lib.types.str;};
              config._module.args.pkgs = legacyPackages.${config.nixpkgs.hostPlatform};
              # As NixOS does: nothing is built that an assertion forbids.
              config.system.build.toplevel = let
                failed = lib.filter (assertion: !assertion.assertion) config.assertions;
              in
                lib.throwIf (failed != []) (toString (map (assertion: assertion.message) failed))
                config.system.build.sops-nix-manifest;
            })
          ]
          ++ modules;
      };
  in {
    inherit legacyPackages;
    lib = lib.extend (_: _: {inherit nixosSystem;});
  };
}
