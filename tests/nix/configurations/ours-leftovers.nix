# The last secret was removed: a unit for each kind clears away what is left of it.
{
  sops.removeLeftovers = true;
}
