{
  description = "Puts sops-encrypted secrets in place on a NixOS server, at boot and on switch";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs = {
    self,
    nixpkgs,
  }: let
    inherit (nixpkgs) lib;
    systems = ["x86_64-linux" "aarch64-linux"];
    eachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

    instead = system: import ./nix/instead.nix {inherit system;};

    exampleServer = system:
      lib.nixosSystem {
        modules = [
          self.nixosModules.default
          ./nix/example/hardware-configuration.nix
          ./nix/example/configuration.nix
          {nixpkgs.hostPlatform = system;}
        ];
      };
  in
    import ./nix/modules.nix
    // {
      # Programs of sops-nix are there under their names, and so are the systems of Macs; they say what to do.
      packages =
        eachSystem (pkgs:
          instead pkgs.stdenv.hostPlatform.system
          // {
            inherit (import ./. {inherit pkgs;}) default sops-activate sops-install-secrets ssh-to-pgp static;
          })
        // lib.genAttrs ["x86_64-darwin" "aarch64-darwin"] (system:
          instead system
          // {default = (instead system).sops-init-gpg-key;}
          # nixpkgs does not have every system forever.
          // lib.optionalAttrs (nixpkgs.legacyPackages ? ${system}) {inherit (nixpkgs.legacyPackages.${system}) ssh-to-pgp;});

      overlays.default = final: prev: {
        inherit (import ./. {pkgs = final;}) sops-activate sops-import-keys-hook sops-init-gpg-key sops-install-secrets sops-pgp-hook;
        inherit (prev) ssh-to-pgp;
      };

      nixosConfigurations.example-server = exampleServer "x86_64-linux";

      templates.default = {
        path = ./nix/template;
        description = "A NixOS server with secrets";
        welcomeText = builtins.readFile ./nix/template/README.md;
      };

      checks = eachSystem (pkgs: let
        system = pkgs.stdenv.hostPlatform.system;
        server = (exampleServer system).config.system.build;
      in
        {
          package = self.packages.${system}.default;
          package-static = self.packages.${system}.static;
          example-manifest = server.sops-nix-manifest;
          example-users-manifest = server.sops-nix-users-manifest;
          option-reference = pkgs.callPackage ./nix/checks/option-reference.nix {};
          formatting = pkgs.callPackage ./nix/checks/formatting.nix {};
        }
        # They boot virtual machines, and need `kvm` in the builder's system features.
        // lib.mapAttrs' (name: lib.nameValuePair "vm-${name}") (import ./nix/tests {inherit pkgs;}));

      devShells = eachSystem (pkgs: {default = pkgs.callPackage ./nix/shell.nix {};});

      formatter = eachSystem (pkgs: pkgs.callPackage ./nix/formatter.nix {});
    };
}
