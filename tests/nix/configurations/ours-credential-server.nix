# What `tests/boot` boots: the key is a credential of the system, and the secrets are credentials of services, one of which has no user
# until it starts.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.credentials.enable = true;
  services.userborn.enable = true;

  sops.age.keyCredential = "sops-age-key";
  sops.secrets.one.credentialFor = ["reader"];
  sops.secrets.two = {
    neededForUsers = true;
    credentialFor = ["reader"];
  };
  sops.secrets."nested/inner/deep".credentialFor = ["bystander.service"];
  sops.templates."reader.conf" = {
    content = "one = ${config.sops.placeholder.one}\n";
    credentialFor = ["reader"];
  };

  systemd.services.reader = {
    wantedBy = ["multi-user.target"];
    serviceConfig = {
      Type = "exec";
      DynamicUser = true;
      StandardOutput = "append:/run/reader";
      ExecStart = "/usr/lib/boot-test/credentials read";
    };
  };
  systemd.services.bystander = {
    wantedBy = ["multi-user.target"];
    serviceConfig = {
      Type = "exec";
      User = "api";
      StandardOutput = "append:/run/bystander";
      ExecStart = "/usr/lib/boot-test/credentials read";
    };
  };
}
