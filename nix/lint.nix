# The linter and formatter of the Nix files, at the versions that the tests use: another release lays some things out differently.
{rustPlatform}:
rustPlatform.buildRustPackage {
  pname = "lint";
  version = "0";
  src = ../tests/nix/lint;
  cargoLock.lockFile = ../tests/nix/lint/Cargo.lock;
  meta.mainProgram = "lint";
}
