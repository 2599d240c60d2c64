# `credentialFor`: a secret or a template handed to services by systemd.
{
  lib,
  noun,
  # How the credential is called, in words.
  called,
  example,
}:
lib.mkOption {
  type = lib.types.listOf lib.types.str;
  default = [];
  example = ["api.service"];
  description = ''
    Services that get the ${noun} as a credential of systemd, and are restarted when it changes. It takes
    {option}`sops.credentials.enable`. A name without a suffix is a
    service. Other units have no credentials, and one with an `@` in its name has to be given them in `LoadCredential=` by hand. The
    service has to be in {option}`systemd.services`; for one of a package, set
    {option}`systemd.services.<name>.overrideStrategy` to `"asDropin"`.

    systemd reads the file as root and gives the service a copy that its user alone can read. So the ${noun} can stay root's, and a
    service with `DynamicUser=`, which has no user to own a file, gets it as well. The service finds it in `$CREDENTIALS_DIRECTORY`; in
    a setting of its unit, `%d/<name>` is the file. Its name is ${called}, with a dash for every character other than letters, digits,
    `.`, `_` and `-`:

    ```nix
    sops.credentials.enable = true;
    ${example}
    ```

    The service does not start while the ${noun} is missing.
  '';
}
