# A template that is there with a service.
{
  config,
  lib,
  ...
}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  systemd.services.sshd.script = "sshd";
  sops.secrets.one = {};
  sops.templates.banner = lib.mkIf (config.systemd.services ? sshd) {content = config.sops.placeholder.one;};
}
