# The same, with a key on a file system of its own that the initrd mounts. tests/boot shuts it down.
{
  imports = [./example-server-userborn.nix];
  fileSystems."/persist" = {
    device = "/dev/disk/by-label/persist";
    fsType = "ext4";
    neededForBoot = true;
  };
  sops.age.keyFile = "/persist/key.txt";
  sops.age.sshKeyPaths = [];
  sops.gnupg.sshKeyPaths = [];
}
