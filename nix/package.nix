# The program. `callPackage ./nix/package.nix { }`; a static one from `pkgsStatic`.
{
  lib,
  installShellFiles,
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

    # What the build and the tests read; a change of the modules builds nothing anew.
    src = lib.fileset.toSource {
      root = ../.;
      fileset = lib.fileset.unions [
        ../Cargo.toml
        ../Cargo.lock
        ../docs
        ../nix/example
        ../src
        ../tests
      ];
    };
    cargoLock.lockFile = ../Cargo.lock;

    # The release profile optimises across all crates, which is for what is installed, not for tests.
    checkType = "debug";
    # Follows links to pages that are not part of this source.
    checkFlags = ["--skip=guide::links_between_documents_lead_somewhere"];
    nativeBuildInputs = [installShellFiles];
    nativeCheckInputs = [
      gnupg
      openssh
      openssl
      strace
    ];

    # The link is the name that sops-nix' module calls.
    postInstall = ''
      ln -s ${package.name} $out/bin/sops-install-secrets
      installManPage docs/man/sops-activate.8
      installShellCompletion --bash docs/completions/sops-activate.bash --fish docs/completions/sops-activate.fish \
        --zsh docs/completions/_sops-activate
    '';

    doInstallCheck = true;
    nativeInstallCheckInputs = [versionCheckHook];
    versionCheckProgramArg = "--version";

    # nix/nixos/assertions.nix asks for it.
    passthru.openpgp = true;

    meta = {
      inherit (package) description;
      license = lib.getLicenseFromSpdxId package.license;
      mainProgram = package.name;
      platforms = lib.platforms.linux;
    };
  }
