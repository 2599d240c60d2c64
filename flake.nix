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
      packages = eachSystem (pkgs: {
        inherit (import ./. {inherit pkgs;}) default sops-activate sops-install-secrets static;
      });

      overlays.default = final: _: {
        inherit (import ./. {pkgs = final;}) sops-activate sops-install-secrets;
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
