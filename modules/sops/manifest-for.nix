throw ''
  sops-activate has no modules/sops/manifest-for.nix. The manifests of a configuration are config.system.build.sops-nix-manifest and
  sops-nix-users-manifest; docs/reference/manifest.md says how to write one of your own, with builtins.toJSON.''
