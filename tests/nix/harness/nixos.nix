# The part of NixOS that a secrets module reads or writes, with NixOS' types, and the assembly of the activation script.
{
  lib,
  config,
  pkgs,
  ...
}: let
  inherit (lib) mkOption types;
  option = type: default: mkOption {inherit type default;};
  strings = option (types.listOf types.str) [];
  free = types.attrsOf types.unspecified;

  setting = types.oneOf [types.bool types.int types.str types.path];
  settings = option (types.attrsOf (types.either setting (types.listOf setting))) {};

  unitOptions =
    lib.genAttrs
    ["wantedBy" "requiredBy" "upheldBy" "before" "after" "wants" "requires" "requisite" "bindsTo" "partOf" "conflicts" "onFailure"]
    (_: strings)
    // {
      enable = option types.bool true;
      description = option types.str "";
      documentation = strings;
      unitConfig = settings;
      restartTriggers = option (types.listOf types.unspecified) [];
    };
  unit = options: types.submodule {options = unitOptions // options;};

  # As NixOS does, what is said by options of their own is also among the settings.
  asSettings = {config, ...}: {
    config = {
      unitConfig =
        lib.optionalAttrs (config.description != "") {Description = config.description;}
        // lib.optionalAttrs (config.startLimitIntervalSec != null) {StartLimitIntervalSec = toString config.startLimitIntervalSec;};
      serviceConfig =
        lib.optionalAttrs (config.preStart != "") {ExecStartPre = [(toString (pkgs.writeShellScript "pre-start" config.preStart))];}
        // lib.optionalAttrs (config.postStart != "") {ExecStartPost = [(toString (pkgs.writeShellScript "post-start" config.postStart))];};
    };
  };
  service = types.submodule [
    asSettings
    {options = unitOptions // serviceOptions;}
  ];
  serviceOptions = {
    preStart = option types.lines "";
    postStart = option types.lines "";
    startLimitIntervalSec = option (types.nullOr types.int) null;
    serviceConfig = settings;
    environment = option (types.attrsOf (types.nullOr (types.oneOf [types.str types.path types.package]))) {};
    path = option (types.listOf (types.oneOf [types.package types.str])) [];
    script = option types.lines "";
    restartIfChanged = option types.bool true;
    reloadIfChanged = option types.bool false;
    stopIfChanged = option types.bool true;
    aliases = strings;
    overrideStrategy = option (types.enum ["asDropinIfExists" "asDropin"]) "asDropinIfExists";
    enableDefaultPath = option types.bool true;
  };

  snippet = types.either types.str (types.submodule {
    options = {
      deps = strings;
      text = mkOption {type = types.lines;};
      supportsDryActivation = option types.bool false;
    };
  });
  normal = value:
    if builtins.isString value
    then {
      deps = [];
      text = value;
      supportsDryActivation = false;
    }
    else value;
  assemble = dry: snippets: let
    text = name: snippet: ''
      #### ${name}
      ${
        if dry && !snippet.supportsDryActivation
        then "# not in a dry activation"
        else snippet.text
      }'';
    all = lib.mapAttrs (name: value: (normal value) // {text = text name (normal value);}) snippets;
  in
    lib.textClosureMap lib.id all (lib.attrNames all);
in {
  options = {
    assertions = option (types.listOf types.unspecified) [];
    warnings = strings;

    boot = option (types.submodule {freeformType = free;}) {};
    environment.systemPackages = option (types.listOf types.package) [];
    environment.etc = option (types.attrsOf free) {};
    networking.hostName = option types.str "server";

    fileSystems = option (types.attrsOf (types.submodule ({name, ...}: {
      options = {
        mountPoint = option types.str name;
        device = option (types.nullOr types.str) null;
        fsType = option types.str "auto";
        options = option (types.listOf types.str) ["defaults"];
        depends = strings;
        # As NixOS' `pathsNeededForBoot` has it: what the initrd mounts whatever the option says.
        neededForBoot = option types.bool false;
      };
    }))) {};

    services.openssh = {
      enable = option types.bool false;
      generateHostKeys = option types.bool config.services.openssh.enable;
      hostKeys = option (types.listOf free) [
        {
          type = "rsa";
          bits = 4096;
          path = "/etc/ssh/ssh_host_rsa_key";
        }
        {
          type = "ed25519";
          path = "/etc/ssh/ssh_host_ed25519_key";
        }
      ];
    };
    services.userborn.enable = option types.bool false;

    system.build = option (types.submodule {freeformType = types.lazyAttrsOf types.unspecified;}) {};
    system.nssDatabases = {
      passwd = option (types.listOf types.str) ["files" "systemd"];
      group = option (types.listOf types.str) ["files" "systemd"];
    };
    system.nixos-init.enable = option types.bool false;
    system.stateVersion = option types.str "26.11";
    system.activationScripts = mkOption {
      type = types.attrsOf snippet;
      default = {};
      apply = snippets: snippets // {script = assemble false snippets;};
    };
    system.dryActivationScript = mkOption {
      type = types.lines;
      readOnly = true;
      default = assemble true (removeAttrs config.system.activationScripts ["script"]);
    };

    systemd = {
      package = option types.unspecified null;
      services = option (types.attrsOf service) {};
      targets = option (types.attrsOf (unit {})) {};
      sockets = option (types.attrsOf (unit {
        listenStreams = strings;
        socketConfig = settings;
      })) {};
      paths = option (types.attrsOf (unit {pathConfig = settings;})) {};
      timers = option (types.attrsOf (unit {
        timerConfig = settings;
      })) {};
      mounts = option (types.listOf free) [];
      automounts = option (types.listOf free) [];
      slices = option (types.attrsOf (unit {sliceConfig = settings;})) {};
      packages = option (types.listOf types.package) [];
      units = option (types.attrsOf free) {};
      sysusers.enable = option types.bool false;
      tmpfiles.rules = strings;
      tmpfiles.settings = option free {};
    };

    users.mutableUsers = option types.bool true;
    users.users = option (types.attrsOf (types.submodule ({name, ...}: {
      freeformType = free;
      options = {
        name = option types.str name;
        uid = option (types.nullOr types.int) null;
        group = option types.str "";
        isSystemUser = option types.bool false;
        isNormalUser = option types.bool false;
        hashedPasswordFile = option (types.nullOr types.str) null;
      };
    }))) {};
    users.groups = option (types.attrsOf (types.submodule ({name, ...}: {
      freeformType = free;
      options = {
        name = option types.str name;
        gid = option (types.nullOr types.int) null;
      };
    }))) {};
  };

  config = {
    # What secrets modules order their snippets against.
    system.activationScripts = {
      specialfs.text = "# specialfs";
      users.text = "# users";
      groups = {
        text = "# groups";
        deps = ["users"];
      };
    };
    users.users.root = {
      uid = 0;
      group = "root";
    };
    users.groups.root.gid = 0;
    users.groups.keys.gid = 96;
    users.groups.users.gid = 100;
    users.groups.wheel.gid = 1;
  };
}
