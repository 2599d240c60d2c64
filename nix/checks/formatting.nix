# Every Nix file parses, is laid out and has no dead code; every Rust file is as rustfmt writes it.
{
  callPackage,
  cargo,
  lib,
  runCommand,
  rustfmt,
}:
runCommand "formatting" {
  nativeBuildInputs = [
    (callPackage ../lint.nix {})
    cargo
    rustfmt
  ];
  src = lib.fileset.toSource {
    root = ../..;
    fileset = lib.fileset.unions [
      ../../Cargo.toml
      ../../Cargo.lock
      ../../default.nix
      ../../flake.nix
      ../../nix
      ../../rustfmt.toml
      ../../src
      ../../tests
    ];
  };
} ''
  cd "$src"
  find . -name '*.nix' -exec lint {} +
  cargo fmt --check
  touch "$out"
''
