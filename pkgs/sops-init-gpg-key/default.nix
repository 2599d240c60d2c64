# Where sops-nix has it: says what to use.
{stdenv, ...}: (import ../../nix/instead.nix {inherit (stdenv.hostPlatform) system;}).sops-init-gpg-key
