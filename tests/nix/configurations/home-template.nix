# Templates of a user.
{config, ...}: {
  sops.defaultSopsFile = ../../compat/files/values.yaml;
  sops.age.keyFile = "/home/alice/.config/sops/age/keys.txt";

  sops.secrets.one = {};
  sops.templates."app.env".content = "ONE=${config.sops.placeholder.one}\n";
  sops.templates.elsewhere = {
    content = config.sops.placeholder.one;
    path = "/home/alice/.config/app/elsewhere";
    mode = "0600";
  };
}
