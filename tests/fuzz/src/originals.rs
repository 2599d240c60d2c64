//! Sops files whose plaintext is known: the vectors and fixtures that open, each with its data key.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;
use sops_activate::keys::{Keyring, Sources};
use sops_activate::secret::SecretBytes;
use sops_activate::sops::data_key::{self, DataKey, Stanza};
use sops_activate::sops::document::{Document, Opened, Sealed};
use sops_activate::sops::format::Format;

use super::trees::{self, Leaf};

pub struct Original {
    pub format: Format,
    pub source: Vec<u8>,
    pub key: [u8; 32],
    /// What `sops decrypt` prints.
    pub plain: Vec<u8>,
    pub leaves: Vec<Leaf>,
    pub stanzas: Vec<Stanza>,
    pub mac_only_encrypted: bool,
}

impl Original {
    pub fn open(&self) -> Document<Opened> {
        parse(self.format, &self.source).open(DataKey::new(&self.key).unwrap()).unwrap()
    }
}

/// Where the repository is, for both crates that this file is part of.
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    if package.ends_with("tests/fuzz") { package.join("../..") } else { package.to_owned() }
}

pub fn all() -> &'static [Original] {
    static ALL: LazyLock<Vec<Original>> = LazyLock::new(|| {
        let mut originals = vectors();
        originals.extend(fixtures());
        assert!(originals.len() > 100);
        originals
    });
    &ALL
}

/// Those of one format.
pub fn of(format: Format) -> impl Iterator<Item = &'static Original> {
    all().iter().filter(move |original| original.format == format)
}

/// Every data key that opens one of this format.
pub fn keys(format: Format) -> BTreeSet<[u8; 32]> {
    of(format).map(|original| original.key).collect()
}

#[derive(Deserialize)]
struct Vector {
    file: String,
    format: String,
    keys: String,
    expect: Option<String>,
}

fn vectors() -> Vec<Original> {
    let directory = repository().join("tests/vectors");
    let vectors: Vec<Vector> = read_json(&directory.join("manifest.json"));
    let known = vectors.iter().filter(|vector| vector.expect.is_some());
    let opened = known.filter_map(|vector| {
        original(&vector.format, &directory.join(&vector.file), &keyring(&[directory.join(&vector.keys)]))
    });
    opened.collect()
}

#[derive(Deserialize)]
struct Fixture {
    file: String,
    format: String,
    opened_by: Vec<Vec<String>>,
}

fn fixtures() -> Vec<Original> {
    let fixtures = repository().join("tests/fixtures");
    let mut originals = Vec::new();
    for directory in ["sops", "recipients"] {
        let index: Vec<Fixture> = read_json(&fixtures.join(directory).join("index.json"));
        for fixture in &index {
            let Some(keys) = fixture.opened_by.first() else { continue };
            let keys: Vec<PathBuf> = keys.iter().map(|key| fixtures.join(key)).collect();
            let file = fixtures.join(directory).join(&fixture.file);
            originals.extend(original(&fixture.format, &file, &keyring(&keys)));
        }
    }
    originals
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A keyring of ssh keys (`host_…`) and age identity files.
pub fn keyring(keys: &[PathBuf]) -> Keyring {
    let is_ssh = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("host_");
    Keyring::collect(&Sources {
        age_ssh_key_paths: keys.iter().filter(is_ssh).cloned().collect(),
        ssh_key_paths: keys.iter().filter(|path| path.ends_with("host_rsa")).cloned().collect(),
        user_key_files: keys.iter().filter(|path| !is_ssh(path)).cloned().collect(),
        ..Sources::default()
    })
}

fn parse(format: Format, source: &[u8]) -> Document<Sealed> {
    Document::parse(format, SecretBytes::from(source)).ok().unwrap()
}

/// `None` for a vector that does not open: that is what it is there for.
fn original(format: &str, file: &Path, keyring: &Keyring) -> Option<Original> {
    let all = [Format::Yaml, Format::Json, Format::Binary, Format::Dotenv, Format::Ini];
    let format = all.into_iter().find(|candidate| candidate.name() == format).unwrap();
    let source = fs::read(file).unwrap();
    let document = Document::parse(format, SecretBytes::from(source.as_slice())).ok()?;
    let metadata = document.metadata();
    let key = data_key::recover(&metadata.groups, metadata.threshold, keyring).ok()?;
    let bytes = *key.expose();
    let stanzas = metadata.groups.concat();
    let mac_only_encrypted = metadata.mac_only_encrypted;
    let opened = document.open(key).ok()?;
    let plain = opened.emit().ok()?.expose().to_vec();
    let leaves = trees::leaves_of_output(format, &plain)?;
    Some(Original { format, source, key: bytes, plain, leaves, stanzas, mac_only_encrypted })
}
