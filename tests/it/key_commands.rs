//! Programs that hold keys, through the whole program: commands that print them, and age plugins.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// A user's directories, with programs that only `PATH` leads to.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path("run")).unwrap();
        fs::create_dir(home.path("bin")).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Installs the secret `api` of `sops_file`.
    fn run(&self, sops_file: &str, settings: Value, environment: &[(&str, &str)]) -> Output {
        let mut manifest = json!({
            "secrets": [{
                "name": "api", "key": "api", "path": "%r/secrets/api", "mode": "0400", "format": "yaml",
                "sopsFile": sops_file, "owner": null, "group": null
            }],
            "templates": [], "placeholderBySecretName": {}, "secretsMountPoint": "%r/secrets.d",
            "symlinkPath": "%r/secrets", "keepGenerations": 1, "sshKeyPaths": [], "ageSshKeyPaths": [],
            "userMode": true, "logging": {"keyImport": false, "secretChanges": false}
        });
        let Value::Object(settings) = settings else { panic!("settings are an object") };
        manifest.as_object_mut().unwrap().extend(settings);
        fs::write(self.path("manifest.json"), manifest.to_string()).unwrap();
        Command::new(env!("CARGO_BIN_EXE_sops-activate"))
            .arg(self.path("manifest.json"))
            .env_clear()
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("HOME", self.0.path())
            .env("PATH", format!("{}:{}", self.path("bin").display(), env!("PATH")))
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn installs(&self, sops_file: &str, settings: Value, environment: &[(&str, &str)]) {
        let output = self.run(sops_file, settings, environment);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(fs::read_to_string(self.path("run/secrets/api")).unwrap(), "throw-away");
    }
}

fn recipients(file: &str) -> String {
    format!("{FIXTURES}/recipients/{file}")
}

#[test]
fn a_key_command_sees_the_environment_but_no_key() {
    let home = Home::new();
    home.program(
        "print-key",
        &format!("[ -z \"$SOPS_AGE_KEY\" ] && [ \"$TOKEN\" = x ] && cat {FIXTURES}/keys/age.txt"),
    );
    let other_key = fs::read_to_string(format!("{FIXTURES}/keys/group-1.txt")).unwrap();
    let environment = [
        ("SOPS_AGE_KEY", other_key.lines().last().unwrap()),
        ("SOPS_AGE_KEY_CMD", "print-key 'one word'"),
        ("TOKEN", "x"),
    ];
    home.installs(&recipients("pgp-beside-age.yaml"), json!({}), &environment);
}

#[test]
fn a_command_prints_an_ssh_key() {
    let home = Home::new();
    home.program("print-ssh-key", &format!("cat {FIXTURES}/keys/host_ed25519"));
    let environment = [("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "print-ssh-key")];
    home.installs(&recipients("ssh-ed25519.yaml"), json!({}), &environment);
}

#[cfg(feature = "age-plugins")]
mod plugin {
    use std::collections::HashSet;
    use std::io::Write as _;

    use age::armor::{ArmoredWriter, Format};
    use age_core::format::{FileKey, Stanza};
    use age_core::secrecy::ExposeSecret as _;

    use super::*;
    use crate::seal;

    /// Wraps nothing: the file key is the body, which the plugin of the test knows.
    struct Unwrapped;

    impl age::Recipient for Unwrapped {
        fn wrap_file_key(
            &self,
            file_key: &FileKey,
        ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
            let body = file_key.expose_secret().to_vec();
            let stanza = Stanza { tag: "test".into(), args: vec!["x".into()], body };
            Ok((vec![stanza], HashSet::new()))
        }
    }

    /// A sops file for a recipient that only the plugin opens.
    fn document() -> String {
        let mut armored = Vec::new();
        let recipients: [&dyn age::Recipient; 1] = [&Unwrapped];
        let encryptor = age::Encryptor::with_recipients(recipients.into_iter()).unwrap();
        let armor = ArmoredWriter::wrap_output(&mut armored, Format::AsciiArmor).unwrap();
        let mut writer = encryptor.wrap_output(armor).unwrap();
        writer.write_all(&seal::DATA_KEY).unwrap();
        writer.finish().and_then(ArmoredWriter::finish).unwrap();
        let enc = String::from_utf8(armored).unwrap().replace('\n', "\n            ");
        format!(
            "api: {}\nsops:\n    age:\n        - recipient: age1test1qqqq\n          enc: |\n            {}\n    \
             lastmodified: \"{}\"\n    mac: {}\n    version: 3.13.3\n",
            seal::string("api:", "throw-away"),
            enc.trim_end(),
            seal::LAST_MODIFIED,
            seal::mac("throw-away"),
        )
    }

    #[test]
    fn an_identity_in_the_key_file_is_opened_by_the_plugin_on_the_path() {
        let home = Home::new();
        let hrp = bech32::Hrp::parse("age-plugin-test-").unwrap();
        let identity = bech32::encode::<bech32::Bech32>(hrp, &[1, 2, 3]).unwrap().to_uppercase();
        fs::write(home.path("keys.txt"), format!("# The plugin has the key.\n{identity}\n")).unwrap();
        fs::write(home.path("secrets.yaml"), document()).unwrap();
        let sops_file = home.path("secrets.yaml").display().to_string();
        let settings = json!({"ageKeyFile": home.path("keys.txt")});

        let missing = home.run(&sops_file, settings.clone(), &[]);
        assert_eq!(missing.status.code(), Some(1));
        let said = String::from_utf8_lossy(&missing.stderr).into_owned();
        assert!(said.contains("'age-plugin-test' was not found on PATH"), "{said}");

        // It reads what it is told, and answers with the file key; a terminal would be found at /dev/tty.
        home.program(
            "age-plugin-test",
            "[ \"$1\" = --age-plugin=identity-v1 ] || exit 9\n\
             while read -r arrow command rest; do\n\
             case $command in\n\
             recipient-stanza)\n\
             if [ \"$rest\" = '0 test x' ]; then read -r key\n\
             else while read -r line && [ ${#line} -eq 64 ]; do :; done; fi ;;\n\
             done) read -r _; break ;;\n\
             *) read -r _ ;;\n\
             esac\n\
             done\n\
             printf -- '-> file-key 0\\n%s\\n' \"$key\"; read -r _; read -r _\n\
             printf -- '-> done\\n\\n'",
        );
        home.installs(&sops_file, settings, &[]);
    }
}
