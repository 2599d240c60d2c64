# nixpkgs' lib at `path`. A copy of 23.11 lacks `path.hasStorePathPrefix`, which is all that a secrets module asks of a
# newer one; the real function knows store paths by the same shape.
{path}: let
  lib = import path;
in
  if lib.path ? hasStorePathPrefix
  then lib
  else
    lib.extend (_: super: {
      path =
        super.path
        // {
          hasStorePathPrefix = candidate:
            builtins.match "${builtins.storeDir}/[0-9a-z]{32}-.+" (toString candidate) != null;
        };
    })
