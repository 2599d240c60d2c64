//! The example server's secrets, opened with its host key as the server would, and with the key of the person who edits
//! them. What they decrypt to lies beside this file and nowhere else in the repository.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::fixtures::{decrypt, format, keyring};
use crate::machine::{Machine, output, repository, text};

const FILE: &str = "nix/example/secrets/secrets.yaml";
const SERVER: &str = "tests/fixtures/keys/sample_host_ed25519";
const ADMIN: &str = "tests/fixtures/keys/age.txt";

fn plaintext() -> String {
    text("it/example/secrets.yaml")
}

/// The value at `key`, whose levels are separated by `/`, of the plaintext.
fn value(key: &str) -> String {
    let document: Value = serde_yaml::from_str(&plaintext()).unwrap();
    document.pointer(&format!("/{key}")).unwrap().as_str().unwrap().to_owned()
}

/// What the host key opens, as secrets of a manifest.
fn install(keys: &[&str]) -> Machine {
    let machine = Machine::new();
    machine.write("secrets.yaml", fs::read(repository(FILE)).unwrap());
    machine.write("host_key", fs::read(repository(SERVER)).unwrap());
    let secrets: Vec<Value> = keys
        .iter()
        .map(|key| json!({"name": key, "key": key, "mode": "0400", "format": "yaml", "sopsFile": "DIR/secrets.yaml"}))
        .collect();
    machine.manifest(json!({"secrets": secrets, "ageSshKeyPaths": ["DIR/host_key"]}));
    machine
}

const KEYS: [&str; 4] = ["api-key", "database/password", "backup/ssh-key", "users/admin"];

#[test]
fn the_examples_host_key_puts_its_secrets_in_place() {
    let machine = install(&KEYS);
    let run = output(machine.command("sops-activate", &["DIR/manifest.json"]));
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    for key in KEYS {
        let installed = fs::read_to_string(machine.path("secrets").join(key)).unwrap();
        assert_eq!(installed, value(key), "{key}");
    }
}

#[test]
fn the_person_who_edits_the_example_sees_the_whole_file() {
    let keys = keyring(&[repository(ADMIN)]);
    let plain = decrypt(format("yaml"), &fs::read(repository(FILE)).unwrap(), &keys).unwrap();
    assert_eq!(String::from_utf8(plain).unwrap(), plaintext());
}

/// Who takes a key out of `.sops.yaml` expects that the file was updated.
#[test]
fn the_example_is_encrypted_for_the_keys_that_its_rules_name() {
    let rules: Value =
        serde_yaml::from_str(&fs::read_to_string(repository("nix/example/.sops.yaml")).unwrap()).unwrap();
    let file: Value = serde_yaml::from_str(&fs::read_to_string(repository(FILE)).unwrap()).unwrap();
    let named = &rules["creation_rules"][0]["key_groups"][0]["age"];
    let encrypted_for: Vec<&Value> =
        file["sops"]["age"].as_array().unwrap().iter().map(|entry| &entry["recipient"]).collect();
    assert_eq!(named.as_array().unwrap().iter().collect::<Vec<_>>(), encrypted_for);
    let server = text("fixtures/keys/sample_host_ed25519.age");
    assert_eq!(named[0].as_str(), Some(server.trim()));
}

/// A placeholder somewhere else would be the habit of putting plaintext into a repository.
#[test]
fn the_examples_plaintext_is_nowhere_else() {
    fn files_below(directory: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                files_below(&entry.path(), files);
            } else if entry.file_type().unwrap().is_file() {
                files.push(entry.path());
            }
        }
    }
    let mut files = Vec::new();
    for directory in ["docs", "nix", "src", "tests"].map(repository) {
        if directory.exists() {
            files_below(&directory, &mut files);
        }
    }
    assert!(files.contains(&repository(FILE)));
    for file in files.iter().filter(|file| !file.ends_with("tests/it/example/secrets.yaml")) {
        let bytes = fs::read(file).unwrap();
        for key in KEYS {
            let value = value(key);
            let found = memchr::memmem::find(&bytes, value.trim().as_bytes()).is_some();
            assert!(!found, "{} holds the value of '{key}'", file.display());
        }
    }
}
