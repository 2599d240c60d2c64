//! Files that real sops of several versions wrote, opened with every key that should open them, and with every key
//! that should not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sops_activate::keys::{Keyring, Sources};
use sops_activate::secret::SecretBytes;
use sops_activate::sops::data_key;
use sops_activate::sops::document::Document;
use sops_activate::sops::format::Format;

#[derive(Deserialize)]
struct Fixture {
    file: String,
    format: String,
    opened_by: Vec<Vec<String>>,
    plain: Option<String>,
}

pub fn format(name: &str) -> Format {
    let all = [Format::Yaml, Format::Json, Format::Binary, Format::Dotenv, Format::Ini];
    all.into_iter().find(|format| format.name() == name).unwrap()
}

/// A keyring of the given key files: ssh keys and age identity files.
pub fn keyring(keys: &[PathBuf]) -> Keyring {
    let is_ssh = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("host_");
    let mut sources =
        Sources { age_ssh_key_paths: keys.iter().filter(is_ssh).cloned().collect(), ..Sources::default() };
    // RSA keys are OpenPGP keys, too, when they stand there.
    sources.ssh_key_paths = keys.iter().filter(|path| path.ends_with("host_rsa")).cloned().collect();
    // A manifest has one file; the user's own may be many.
    sources.user_key_files = keys.iter().filter(|path| !is_ssh(path)).cloned().collect();
    Keyring::collect(&sources)
}

/// What `sops decrypt` would print, or the error's text.
pub fn decrypt(format: Format, source: &[u8], keyring: &Keyring) -> Result<Vec<u8>, String> {
    let document = Document::parse(format, SecretBytes::from(source)).map_err(|error| error.to_string())?;
    let metadata = document.metadata();
    let key = data_key::recover(&metadata.groups, metadata.threshold, keyring)
        .map_err(|error| format!("{error:?}"))?;
    let opened = document.open(key).map_err(|error| error.to_string())?;
    let plain = opened.emit().map_err(|error| error.to_string())?;
    Ok(plain.expose().to_vec())
}

fn check(directory: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let directory = fixtures.join(directory);
    let index: Vec<Fixture> =
        serde_json::from_slice(&fs::read(directory.join("index.json")).unwrap()).unwrap();
    let mut failures = Vec::new();
    let mut opened = 0;
    for fixture in &index {
        let source = fs::read(directory.join(&fixture.file)).unwrap();
        let expected = fixture.plain.as_ref().map(|plain| fs::read(directory.join(plain)).unwrap());
        for keys in &fixture.opened_by {
            // What gpg opens is tried in gnupg.rs.
            if keys.iter().any(|key| Path::new(key).extension().is_some_and(|kind| kind == "asc")) {
                continue;
            }
            let keys: Vec<PathBuf> = keys.iter().map(|key| fixtures.join(key)).collect();
            match decrypt(format(&fixture.format), &source, &keyring(&keys)) {
                Ok(plain) if Some(&plain) == expected.as_ref() => opened += 1,
                Ok(_) => failures.push(format!("{} opens to other bytes with {keys:?}", fixture.file)),
                Err(error) => failures.push(format!("{} with {keys:?}: {error}", fixture.file)),
            }
        }
        // No key that is not listed may open it.
        let listed: BTreeSet<&String> = fixture.opened_by.iter().flatten().collect();
        let others =
            ["keys/host_ed25519", "keys/host_rsa", "keys/age.txt", "keys/age-pq.txt", "keys/group-1.txt"];
        for other in others.iter().filter(|key| !listed.contains(&(**key).to_owned())) {
            if decrypt(format(&fixture.format), &source, &keyring(&[fixtures.join(other)])).is_ok() {
                failures.push(format!("{} opens with {other}", fixture.file));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(opened > 0);
}

#[test]
fn files_of_every_version_of_sops_open_to_what_sops_prints() {
    check("sops");
}

#[test]
fn every_kind_of_recipient_opens() {
    check("recipients");
}
