# What a secrets module takes from nixpkgs' package set. Every package is a real derivation, built by the machine's
# /bin/sh; programs are links to those of the machine.
{
  lib,
  system ? "x86_64-linux",
}: let
  build = name: environment: script:
    derivation (environment
      // {
        inherit name system;
        builder = "/bin/sh";
        # The shell has to outlive its last command: coreutils close their standard output before they exit, and nix
        # takes that for the end of the builder and kills it.
        args = ["-euc" "${script}\nexit 0"];
        PATH = "/usr/bin:/bin";
        preferLocalBuild = true;
        allowSubstitutes = false;
      });

  # What getExe, makeBinPath and `types.package` look at.
  package = drv: attributes:
    drv
    // {
      type = "derivation";
      outputName = "out";
      meta.mainProgram = drv.name;
    }
    // attributes;

  programs = name: names:
    package (build name {} ''
      mkdir -p $out/bin
      for program in ${toString names}; do ln -s /usr/bin/$program $out/bin/; done
    '') {
      pname = name;
      version = "1";
    };

  writeTextFile = {
    name,
    text,
    checkPhase ? "",
    executable ? false,
    destination ? "",
    ...
  }:
    package (build (lib.strings.sanitizeDerivationName name) {
        inherit text;
        passAsFile = ["text"];
      } ''
        target=$out${destination}
        mkdir -p "$(dirname "$target")"
        cp "$textPath" "$target"
        ${lib.optionalString executable ''chmod +x "$target"''}
        ${checkPhase}
      '') {inherit text checkPhase;};

  writeShellScript = name: text:
    writeTextFile {
      inherit name;
      executable = true;
      text = "#!/bin/bash\n${text}";
    };

  platform = {
    inherit system;
    isLinux = lib.hasSuffix "-linux" system;
    isDarwin = lib.hasSuffix "-darwin" system;
  };

  pkgs = {
    inherit lib system writeTextFile writeShellScript;
    callPackage = lib.callPackageWith pkgs;
    runCommandLocal = name: environment: script: package (build name environment script) {};
    runCommand = pkgs.runCommandLocal;
    writeText = name: text: writeTextFile {inherit name text;};
    stdenv = {
      buildPlatform = platform;
      hostPlatform = platform;
      inherit (platform) isLinux isDarwin;
    };
    runtimeShell = "/bin/bash";
    age = programs "age" ["age-keygen"];
    age-plugin-yubikey = programs "age-plugin-yubikey" ["age-plugin-yubikey"];
    bash = programs "bash" ["bash"];
    coreutils = programs "coreutils" ["cat" "dirname" "mkdir" "mv"];
    gnupg = programs "gnupg" ["gpg"];
    systemd = programs "systemd" ["systemctl"];
  };
in
  pkgs
