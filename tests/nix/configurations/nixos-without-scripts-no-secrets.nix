# On a NixOS that no longer has activation scripts, the module is imported and nothing is asked of it: nothing of it is there.
{}
