# Real files: in memory, on a tmpfs that is the root file system, and as a link that is asked for in so many words.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  fileSystems."/".fsType = "tmpfs";
  sops.secrets.one = {
    path = "/run/program/key";
    installMode = "copy";
  };
  sops.secrets.two = {
    path = "/etc/program/two";
    installMode = "symlink";
  };
  sops.templates.conf = {
    content = config.sops.placeholder.one;
    path = "/etc/program/conf";
    installMode = "copy";
  };
}
