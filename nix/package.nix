# The program. `callPackage ./nix/package.nix { }`; a static one from `pkgsStatic`.
{
  lib,
  rustPlatform,
  versionCheckHook,
  # The tests run what they find of these: on keys, in gpg homes, under strace.
  gnupg,
  openssh,
  openssl,
  strace,
}: let
  inherit (lib.importTOML ../Cargo.toml) package;
in
  rustPlatform.buildRustPackage {
    pname = package.name;
    inherit (package) version;

    # What the build and the tests read; a change elsewhere builds nothing anew.
    src = lib.fileset.toSource {
      root = ../.;
      fileset = lib.fileset.unions [
        ../Cargo.toml
        ../Cargo.lock
        ../docs/compatibility.md
        ../nix/example
        ../src
        ../tests
      ];
    };
    cargoLock.lockFile = ../Cargo.lock;

    # The release profile optimises across all crates, which is for what is installed, not for tests.
    checkType = "debug";
    nativeCheckInputs = [
      gnupg
      openssh
      openssl
      strace
    ];

    # The name that sops-nix' module calls.
    postInstall = ''
      ln -s ${package.name} $out/bin/sops-install-secrets
    '';

    doInstallCheck = true;
    nativeInstallCheckInputs = [versionCheckHook];
    versionCheckProgramArg = "--version";

    meta = {
      inherit (package) description;
      license = lib.getLicenseFromSpdxId package.license;
      mainProgram = package.name;
      platforms = lib.platforms.linux;
    };
  }
