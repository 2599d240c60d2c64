# The part of home-manager that a secrets module reads or writes, with home-manager's types.
{
  lib,
  config,
  ...
}: let
  inherit (lib) mkOption types;
  option = type: default: mkOption {inherit type default;};
  free = types.attrsOf types.unspecified;

  # Units are sections of settings there, as systemd writes them.
  scalar = types.oneOf [types.bool types.int types.str types.path];
  unit = types.attrsOf (types.attrsOf (types.either scalar (types.listOf scalar)));
  # Snippets are entries of a graph, or text that stands anywhere.
  snippet =
    types.coercedTo types.str (data: {
      inherit data;
      before = [];
      after = [];
    }) (types.submodule {
      options = {
        data = mkOption {type = types.lines;};
        before = option (types.listOf types.str) [];
        after = option (types.listOf types.str) [];
      };
      freeformType = free;
    });
in {
  options = {
    assertions = option (types.listOf types.unspecified) [];
    warnings = option (types.listOf types.str) [];

    home = {
      username = option types.str "alice";
      homeDirectory = option types.str "/home/${config.home.username}";
      stateVersion = option types.str "26.11";
      activation = option (types.attrsOf snippet) {};
      packages = option (types.listOf types.package) [];
      sessionVariables = option (types.lazyAttrsOf (types.oneOf [types.str types.path types.int])) {};
      file = option (types.attrsOf free) {};
    };
    xdg.configHome = option types.str "${config.home.homeDirectory}/.config";
    xdg.dataHome = option types.str "${config.home.homeDirectory}/.local/share";
    systemd.user = {
      systemctlPath = option types.str "systemctl";
      startServices = option types.unspecified true;
      services = option (types.attrsOf unit) {};
      sockets = option (types.attrsOf unit) {};
      targets = option (types.attrsOf unit) {};
      sessionVariables = option free {};
    };
    launchd.agents = option (types.attrsOf free) {};
    system.build = option (types.submodule {freeformType = types.lazyAttrsOf types.unspecified;}) {};
  };
}
