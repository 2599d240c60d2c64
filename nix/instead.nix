# Programs that only sops-nix has, under their names. Building one fails with a message that names a replacement. They need nothing from
# nixpkgs, so they exist for every system, and a flake that names them evaluates.
{system}: let
  sopsNix = name: ''
    This name is here so that the input sops-nix can be changed to sops-activate at once. To keep using the program, keep sops-nix as a
    second input:
      inputs.sops-nix-tools.url = "github:Mic92/sops-nix";
    and write inputs.sops-nix-tools.packages.${system}.${name} in place of this.'';

  ofSopsNix = name: use: message name "sops-activate has no ${name}.\n${use}\n${sopsNix name}";
  testOfSopsNix = name: message name "${name} is a test of sops-nix itself, and there is none of that name in sops-activate.";

  message = name: text:
    derivation {
      inherit name system text;
      builder = "/bin/sh";
      args = ["-c" ''echo "$text" >&2; exit 1''];
    };
in {
  sops-init-gpg-key = ofSopsNix "sops-init-gpg-key" ''
    A host needs no key for OpenPGP alone: its SSH host key opens what is encrypted to the recipient that ssh-to-age prints of it.
    To make a key for OpenPGP:
      gpg --homedir /var/lib/sops --batch --passphrase "" --quick-gen-key root@host'';
  sops-import-keys-hook = ofSopsNix "sops-import-keys-hook" ''
    To import keys when a shell is entered:
      shellHook = "gpg --import keys/*.asc";'';
  sops-pgp-hook = ofSopsNix "sops-pgp-hook" ''
    Recipients are in .sops.yaml. To import their keys when a shell is entered:
      shellHook = "gpg --import keys/*.asc";'';

  sops-install-secrets = message "sops-install-secrets" ''
    sops-activate runs on Linux only, not on ${system}. Keep sops-nix as a second input for Macs:
      inputs.sops-nix-darwin.url = "github:Mic92/sops-nix";
    and write inputs.sops-nix-darwin.packages.${system}.sops-install-secrets in place of this.'';

  sops-pgp-hook-test = testOfSopsNix "sops-pgp-hook-test";
  unit-tests = testOfSopsNix "unit-tests";
  lint = testOfSopsNix "lint";
  cross-build = testOfSopsNix "cross-build";
}
