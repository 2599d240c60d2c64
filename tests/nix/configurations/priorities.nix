# Values under mkIf, mkForce, mkDefault and mkMerge, from several modules.
{lib, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  imports = [
    {
      sops.secrets.one.mode = "0444";
      sops.age.sshKeyPaths = ["/etc/ssh/first"];
      sops.log = lib.mkForce ["keyImport"];
    }
    {
      sops.secrets.one.mode = lib.mkForce "0440";
      sops.secrets.one.restartUnits = ["web.service"];
      sops.age.sshKeyPaths = lib.mkBefore ["/etc/ssh/zeroth"];
    }
  ];
  systemd.services.web.wantedBy = ["multi-user.target"];
  systemd.services.mail.wantedBy = ["multi-user.target"];
  sops.secrets = lib.mkMerge [
    {one.restartUnits = ["mail.service"];}
    (lib.mkIf true {two.path = lib.mkDefault "/etc/two";})
    (lib.mkIf false {three = {};})
    {two.sopsFile = lib.mkOverride 900 ../../compat/files/values-other.yaml;}
  ];
  sops.log = ["secretChanges"];
}
