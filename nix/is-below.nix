# Whether a path is a directory or lies in it, component by component: /run/secrets2 does not lie in /run/secrets.
{lib}: directory: path: let
  directory' = lib.removeSuffix "/" directory;
in
  path == directory' || lib.hasPrefix "${directory'}/" path
