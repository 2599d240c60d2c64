# What one needs to work on this repository: `nix develop`.
{
  age,
  callPackage,
  clippy,
  jq,
  mkShell,
  rust-analyzer,
  rustfmt,
  shellcheck,
  sops,
  ssh-to-age,
}:
mkShell {
  inputsFrom = [(callPackage ./package.nix {})];
  packages = [
    (callPackage ./lint.nix {})
    age
    clippy
    jq
    rust-analyzer
    rustfmt
    shellcheck
    sops
    ssh-to-age
  ];
}
