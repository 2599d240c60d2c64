throw ''
  sops-activate has no modules/sops/with-environment.nix. Set sops.environment, which is put around its own script and unit; a script of
  your own has to export its variables itself.''
