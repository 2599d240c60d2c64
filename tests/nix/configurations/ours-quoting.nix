# Placeholders that quote, markers by name, and newlines that are left away.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  services.openssh.enable = true;

  sops.secrets.one.name = "number-one";
  sops.secrets.binary = {
    format = "binary";
    sopsFile = ../../compat/files/values.bin;
  };
  sops.templates."app.json".content = ''
    {"one": ${config.sops.placeholderJson.one}}
  '';
  sops.templates."app.sh".content = ''
    # ${config.sops.placeholder.one}
    export ONE=${config.sops.placeholderShell.one}
  '';
  sops.templates."app.conf" = {
    content = "one = ${config.sops.placeholder.binary}!";
    trimTrailingNewline = true;
  };
  # The file as it is, on lines of its own.
  sops.templates.alone.content = ''
    # before
    ${config.sops.placeholder.binary}
  '';
  sops.templates.marked = {
    file = builtins.toFile "marked" ''
      {"one": {{ sops-json "number-one" }}}
    '';
    namedMarkers = true;
  };
}
