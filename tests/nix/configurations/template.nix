# Templates of every form: content, a file, a path and an owner of their own.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  users.users.app = {
    isSystemUser = true;
    group = "app-group";
  };
  users.groups.app-group = {};
  systemd.services.app.wantedBy = ["multi-user.target"];
  sops.secrets.one = {};
  sops.secrets."nested/inner" = {};
  sops.templates."app.env" = {
    content = ''
      ONE=${config.sops.placeholder.one}
      DEEP=${config.sops.placeholder."nested/inner"}
    '';
    owner = "app";
    mode = "0440";
    restartUnits = ["app.service"];
  };
  sops.templates.from-file.file = builtins.toFile "template" "one: <SOPS:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed:PLACEHOLDER>\n";
  sops.templates.elsewhere = {
    name = "another-name";
    content = "${config.sops.placeholder.one}";
    path = "/etc/app/elsewhere.conf";
    uid = 1000;
    gid = 1000;
    reloadUnits = ["app.service"];
  };
}
