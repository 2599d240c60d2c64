# The SSH host keys of one type that this machine will have, as far as the configuration tells.
{
  config,
  lib,
  options,
}: type: let
  # Newer NixOS can make host keys on machines that run no SSH server.
  generated = options ? services.openssh.generateHostKeys && config.services.openssh.generateHostKeys;
  present = options ? services.openssh && (config.services.openssh.enable || generated);
  # A host key that is itself a secret cannot open anything before it is installed.
  installed = key: lib.hasPrefix "/run/secrets" key.path;
in
  lib.optionals present (
    map (key: key.path) (lib.filter (key: key.type == type && !installed key) config.services.openssh.hostKeys)
  )
