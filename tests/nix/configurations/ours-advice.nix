# Lines that assertions and warnings say to add, as they stand there.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.credentials.enable = true;
  services.openssh.enable = true;

  # A template with a secret that is needed for users.
  sops.secrets.two.neededForUsers = true;
  sops.secrets.two-again = {inherit (config.sops.secrets.two) sopsFile format key extractKey;};
  sops.templates.conf.content = config.sops.placeholder.two-again;

  # A credential for a service of a package, and for the instances of a template.
  sops.secrets.one.credentialFor = ["packaged.service"];
  systemd.services.packaged = {
    overrideStrategy = "asDropin";
    enableDefaultPath = false;
  };
  systemd.services."getty@" = {
    overrideStrategy = "asDropin";
    enableDefaultPath = false;
    serviceConfig.LoadCredential = ["one:/run/secrets/one"];
  };

  # A unit, and an owner, that come from elsewhere.
  sops.external.units = ["generated.service"];
  sops.external.users = ["made-by-hand"];
  sops.secrets."nested/inner/deep" = {
    owner = "made-by-hand";
    restartUnits = ["generated.service"];
  };
}
