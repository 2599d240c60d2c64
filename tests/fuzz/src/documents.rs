//! Sops files of each format, from the encrypted text to what is printed.
//!
//! A changed file must fail, or open to what was sealed. What sops seals is less than the file: it authenticates every
//! encrypted value together with the keys that lead to it, and the values one after the other. Comments, empty values,
//! nulls, containers, and names above values that are in the clear can be changed by anybody, in every
//! implementation; the oracle allows exactly that.

use std::collections::BTreeSet;

use sops_activate::secret::SecretBytes;
use sops_activate::sops::cipher::Cipher;
use sops_activate::sops::data_key::DataKey;
use sops_activate::sops::document::{Document, Opened, Sealed};
use sops_activate::sops::format::Format;
use sops_activate::sops::key_path::KeyPath;
use sops_activate::sops::tree::{Entry, Item, Map, Value};

use super::originals::{self, Original};
use super::trees::{self, Leaf};

/// Keys that are looked for in every file.
const PATHS: [&str; 7] = ["", "a", "a/b", "list/0", "data", "DEFAULT/a", "nested/deep/0"];

pub fn run(format: Format, file: &[u8]) {
    let Some(document) = parse(format, file) else { return };
    // Only where the MAC is one that was sealed can the file open.
    let mut opened = false;
    for key in originals::keys(format) {
        let mut mac = SecretBytes::from(document.metadata().mac.as_bytes());
        let cipher = Cipher::new(DataKey::new(&key).unwrap());
        let last_modified = document.metadata().last_modified.as_bytes();
        if cipher.open_in_place(mac.expose_mut(), last_modified).is_ok() {
            opened = true;
            check(format, file, key);
        }
    }
    if !opened && let Some(key) = originals::keys(format).first() {
        check(format, file, *key);
    }
}

fn parse(format: Format, file: &[u8]) -> Option<Document<Sealed>> {
    match Document::parse(format, SecretBytes::from(file)) {
        Ok(document) => {
            places(&document, file);
            Some(document)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// What may be shown of a key lies in the file, and is no more than its name.
fn places(document: &Document<Sealed>, file: &[u8]) {
    let lines = file.split(|byte| *byte == b'\n').count();
    for path in PATHS {
        let key = KeyPath::new(path);
        if let Some(found) = document.place_of(&key) {
            assert!(found.place.line as usize <= lines || file.contains(&b'\r'), "{:?}", found.place);
            assert!(found.levels <= path.split('/').count());
            assert!(path.split('/').any(|level| level == found.name), "{path:?} {:?}", found.name);
        }
    }
}

/// Opens `file` under `key` and compares what comes out with the originals that were sealed under it.
pub fn check(format: Format, file: &[u8], key: [u8; 32]) {
    let Some(document) = parse(format, file) else { return };
    let mac_only_encrypted = document.metadata().mac_only_encrypted;
    let sealed: Vec<&Original> = originals::of(format).filter(|original| original.key == key).collect();
    let opened = match document.open(DataKey::new(&key).unwrap()) {
        Ok(opened) => opened,
        Err(error) => return keeps_secrets(&format!("{error} {error:?}"), file, &sealed),
    };
    picks(&opened);
    let printed = match opened.emit() {
        Ok(printed) => printed,
        Err(error) => return keeps_secrets(&format!("{error} {error:?}"), file, &sealed),
    };
    let Some(leaves) = trees::leaves_of_output(format, printed.expose()) else { return };
    let source = trees::transcoded(format, file).unwrap();
    let tree = format.read(source.expose()).ok().unwrap();

    let mut allowed: BTreeSet<Leaf> = trees::leaves(&tree, source.expose()).into_iter().collect();
    // As they are printed: INI and dotenv cannot hold every text.
    if let Ok(in_the_clear) = format.emit(&tree, source.expose())
        && format != Format::Binary
    {
        allowed.extend(trees::leaves_of_output(format, in_the_clear.expose()).into_iter().flatten());
    }
    allowed.extend(sealed.iter().flat_map(|original| original.leaves.iter().cloned()));
    let flat = matches!(format, Format::Dotenv | Format::Ini);
    for leaf in &leaves {
        let same = |other: &Leaf| {
            // The type is not authenticated, and flat files show it in the text of a boolean, float or time.
            leaf.path == other.path
                && (leaf.bytes == other.bytes || (flat && same_scalar(&leaf.bytes, &other.bytes)))
        };
        assert!(
            leaf.bytes.is_empty() || allowed.contains(leaf) || allowed.iter().any(same),
            "the value at {:?} was never sealed",
            String::from_utf8_lossy(&leaf.path)
        );
    }

    let one_after_the_other = !mac_only_encrypted && matches!(format, Format::Yaml | Format::Json);
    // sops turns comments of lists into items when they decrypt to a string, and does not hash them.
    if one_after_the_other && !tree.iter().any(|map| has_encrypted_comment(map, source.expose())) {
        let hashed = |leaves: &[Leaf]| leaves.iter().flat_map(|leaf| leaf.bytes.clone()).collect::<Vec<u8>>();
        let got = hashed(&leaves);
        assert!(
            sealed.iter().any(|original| !original.mac_only_encrypted && hashed(&original.leaves) == got),
            "the values are not those of any file that was sealed"
        );
    }
}

fn same_scalar(a: &[u8], b: &[u8]) -> bool {
    let number =
        |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<f64>().ok());
    let same_number = number(a).zip(number(b)).is_some_and(|(a, b)| a.total_cmp(&b).is_eq());
    // A time loses its fraction.
    let time = |text: &[u8]| text.get(..19).filter(|_| text.get(10) == Some(&b'T')).map(<[u8]>::to_vec);
    same_number || a.eq_ignore_ascii_case(b) || (time(a).is_some() && time(a) == time(b))
}

/// Every value can be picked, or is told to be null.
fn picks(document: &Document<Opened>) {
    for path in PATHS {
        if document.pick(&KeyPath::new(path)).is_ok() {
            assert!(document.locate(&KeyPath::new(path)).is_ok());
        }
    }
}

/// An error names keys and places; it never holds what was sealed.
fn keeps_secrets(message: &str, file: &[u8], sealed: &[&Original]) {
    for leaf in sealed.iter().flat_map(|original| &original.leaves) {
        let Ok(secret) = std::str::from_utf8(&leaf.bytes) else { continue };
        if secret.len() >= 8 && message.contains(secret) {
            // It stands in the file in the clear, as a key perhaps.
            let in_the_clear = file.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(in_the_clear, "a message holds a secret: {message}");
        }
    }
}

fn has_encrypted_comment(map: &Map, source: &[u8]) -> bool {
    fn value_has(value: &Value, source: &[u8]) -> bool {
        match value {
            Value::Map(map) => has_encrypted_comment(map, source),
            Value::List(items) => items.iter().any(|item| match item {
                Item::Comment(comment) => comment.text.bytes(source).starts_with(b"ENC["),
                Item::Value { value, .. } => value_has(value, source),
            }),
            _ => false,
        }
    }
    map.0.iter().any(|entry| matches!(entry, Entry::Pair { value, .. } if value_has(value, source)))
}
