# A configuration of any size, with options that sops-nix has as well: to measure how evaluation grows.
{
  secrets,
  templates,
  home ? false,
}: {
  config,
  lib,
  ...
}: let
  numbered = prefix: count: value: lib.listToAttrs (lib.genList (i: lib.nameValuePair "${prefix}${toString i}" (value i)) count);
  unit = i: "unit-${toString (lib.mod i 10)}.service";
  placeholder = i: config.sops.placeholder."secret-${toString (lib.mod i secrets)}";
in
  {
    sops =
      {
        defaultSopsFile = ../../compat/files/values.yaml;
        secrets = numbered "secret-" secrets (i:
          {
            key = "one";
            path = "/run/elsewhere/secret-${toString i}";
          }
          // lib.optionalAttrs (!home) {
            owner = "user-${toString (lib.mod i 10)}";
            restartUnits = [(unit i) "unknown.service"];
          });
        # Each with ten secrets.
        templates = numbered "template-" templates (i: {
          content = lib.concatMapStrings (j: "setting-${toString j} = \"${placeholder (i + j)}\"\n") (lib.range 0 9);
        });
      }
      // lib.optionalAttrs home {age.keyFile = "/home/alice/key.txt";};
  }
  // lib.optionalAttrs (!home) {
    services.openssh.enable = true;
    systemd.services = numbered "unit-" 10 (_: {script = "true";});
    users.users = numbered "user-" 10 (_: {group = "crowd";});
    users.groups.crowd = {};
  }
