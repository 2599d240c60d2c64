# The same on a system that has units only.
{
  sops.removeLeftovers = true;
}
