# What `tests/boot` boots and cuts the power of: a key that is made on the machine, and links, a copy and a template that outlive a boot.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.userborn.enable = true;
  services.openssh.enable = true;

  sops.age.keyFile = "/var/lib/sops nix/it's a key.txt";
  sops.age.generateKey = true;
  sops.secrets.one = {
    path = "/etc/app/one";
    restartUnits = ["reader.service"];
  };
  sops.secrets.two = {
    path = "/etc/app/two";
    installMode = "copy";
  };
  sops.secrets.three.path = "/var/lib/app/three";
  sops.templates."app.conf" = {
    content = "one = ${config.sops.placeholder.one}\n";
    path = "/etc/app/app.conf";
  };

  systemd.services.reader = {
    wantedBy = ["multi-user.target"];
    serviceConfig = {
      Type = "exec";
      ExecStart = "/usr/lib/boot-test/cuts serve";
    };
  };
}
