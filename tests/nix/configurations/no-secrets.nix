# The module is imported and nothing is asked of it.
{}
