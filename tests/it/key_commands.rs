//! The command that prints age keys, through the whole program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

#[test]
fn a_key_command_sees_the_environment_but_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("run")).unwrap();
    let script =
        format!("#!/bin/sh\n[ -z \"$SOPS_AGE_KEY\" ] && [ \"$TOKEN\" = x ] && cat {FIXTURES}/keys/age.txt\n");
    fs::write(path("print-key"), script).unwrap();
    fs::set_permissions(path("print-key"), fs::Permissions::from_mode(0o755)).unwrap();
    let manifest = serde_json::json!({
        "secrets": [{
            "name": "api", "key": "api", "path": "%r/secrets/api", "mode": "0400", "format": "yaml",
            "sopsFile": format!("{FIXTURES}/recipients/pgp-beside-age.yaml"), "owner": null, "group": null
        }],
        "templates": [], "placeholderBySecretName": {}, "secretsMountPoint": "%r/secrets.d",
        "symlinkPath": "%r/secrets", "keepGenerations": 1, "sshKeyPaths": [], "ageSshKeyPaths": [], "userMode": true,
        "logging": {"keyImport": false, "secretChanges": false}
    });
    fs::write(path("manifest.json"), manifest.to_string()).unwrap();
    let other_key = fs::read_to_string(format!("{FIXTURES}/keys/group-1.txt")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sops-activate"))
        .arg(path("manifest.json"))
        .env_clear()
        .env("XDG_RUNTIME_DIR", path("run"))
        .env("HOME", dir.path())
        .env("PATH", format!("{}:{}", dir.path().display(), env!("PATH")))
        .env("SOPS_AGE_KEY", other_key.lines().last().unwrap())
        .env("SOPS_AGE_KEY_CMD", "print-key 'one word'")
        .env("TOKEN", "x")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(path("run/secrets/api")).unwrap(), "throw-away");
}
