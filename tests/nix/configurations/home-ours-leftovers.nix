# The last secret of a user was removed: the same unit clears away what is left of it.
{
  sops.removeLeftovers = true;
}
