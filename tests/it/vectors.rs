//! The vectors of the file format: each opens to the expected bytes, or is refused for the expected reason at the
//! expected place; and what is refused opens when that one defect is undone.

mod bad;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sops_activate::sops::document::{OpenError, ParseError};
use sops_activate::sops::format::Format;
use sops_activate::sops::tree::Place;

use crate::fixtures::{format, keyring};
use crate::seal::{Refused, decrypt, lossless};
use bad::{Bad, Cure, Why, replace};

/// They open to the file that the manifest names.
#[rustfmt::skip]
const OPEN: [&str; 66] = [
    "binary-empty", "binary-json-like", "binary-nonutf8", "binary-text", "c-b64-trailing-bits", "c-bom",
    "c-bool-titlecase", "c-comment-in-sops", "c-comment-plain", "c-comment-undecryptable", "c-crlf",
    "c-default-rule-absent", "c-float-exp", "c-future-version", "c-int-leading-zero", "c-iv12", "c-iv16",
    "c-lastmodified-fraction", "c-lastmodified-offset", "c-lastmodified-unquoted", "c-list-leading-space",
    "c-merge-unenc", "c-no-version", "c-nonutf8-yaml", "c-null-keylists", "c-ok", "c-quoted-int-key",
    "c-tab-multiline", "c-time-offset", "c-trailing-text", "c-type-bytes", "c-unknown-metadata",
    "c-yes-key", "dotenv-basic", "dotenv-crlf", "e-mac-only", "e-ok", "i-ok", "i-real-newlines",
    "ini-basic", "ini-default-section", "ini-specials", "j-ok", "json-basic", "json-dup-keys",
    "json-escapes", "yaml-age-pq", "yaml-basic", "yaml-comments", "yaml-custom-suffix",
    "yaml-dup-colon-keys", "yaml-enc-comment-regex", "yaml-enc-regex", "yaml-enc-suffix",
    "yaml-list-comments", "yaml-list-empty-comment", "yaml-mac-only", "yaml-multidoc", "yaml-shamir-2of3",
    "yaml-shamir-2of3-all", "yaml-shamir-3of3-default", "yaml-strings", "yaml-two-recipients",
    "yaml-unenc-comment-regex", "yaml-unenc-regex", "yaml-unenc-suffix",
];

/// sops 3.13 refuses them and older versions do not: they open, to these bytes.
const OPEN_HERE: [(&str, &str); 3] = [
    ("e-dup-metadata", "A=x\n"),
    ("e-incomplete-list", "A=x\n"),
    (
        "json-numbers-unenc",
        "{\n\t\"a_unencrypted\": [\n\t\t1,\n\t\t0,\n\t\t1,\n\t\t1000,\n\t\t1e+21,\n\t\t1e-7,\n\t\t0.000001,\n\t\t\
         123456789012345680000,\n\t\t9223372036854776000,\n\t\t-0\n\t]\n}\n",
    ),
];

#[derive(Deserialize)]
struct Vector {
    name: String,
    file: String,
    format: String,
    keys: String,
    expect: Option<String>,
}

impl Vector {
    fn source(&self) -> Vec<u8> {
        fs::read(directory().join(&self.file)).unwrap()
    }

    fn decrypt(&self) -> Result<Vec<u8>, Refused> {
        decrypt_with(&self.keys, format(&self.format), &self.source())
    }
}

fn decrypt_with(keys: &str, format: Format, source: &[u8]) -> Result<Vec<u8>, Refused> {
    decrypt(format, source, &keyring(&[directory().join(keys)]))
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn manifest() -> Vec<Vector> {
    serde_json::from_slice(&fs::read(directory().join("manifest.json")).unwrap()).unwrap()
}

fn named<'m>(manifest: &'m [Vector], name: &str) -> &'m Vector {
    manifest
        .iter()
        .find(|vector| vector.name == name)
        .unwrap_or_else(|| panic!("there is no vector '{name}'"))
}

/// The vectors' refusals, not in the order of the list but as they turn out.
fn refusals() -> Vec<(Bad, Refused)> {
    let manifest = manifest();
    let mut refusals = Vec::new();
    for bad in bad::all() {
        let vector = named(&manifest, bad.name);
        match vector.decrypt() {
            Ok(_) => panic!("{} opens", bad.name),
            Err(refused) => refusals.push((bad, refused)),
        }
    }
    refusals
}

#[test]
fn every_vector_has_one_verdict() {
    let verdicts: Vec<&str> = OPEN
        .into_iter()
        .chain(OPEN_HERE.map(|(name, _)| name))
        .chain(bad::all().iter().map(|bad| bad.name))
        .collect();
    let distinct: BTreeSet<&str> = verdicts.iter().copied().collect();
    assert_eq!(verdicts.len(), distinct.len(), "a vector has two verdicts");
    let manifest = manifest();
    let names: BTreeSet<&str> = manifest.iter().map(|vector| vector.name.as_str()).collect();
    assert_eq!(names, distinct);
    assert_eq!(names.len(), 111);
}

#[test]
fn good_vectors_open_to_the_expected_bytes() {
    let manifest = manifest();
    for name in OPEN {
        let vector = named(&manifest, name);
        let expected = fs::read(directory().join(vector.expect.as_ref().unwrap())).unwrap();
        let opened = vector.decrypt();
        assert_eq!(opened.map(lossless), Ok(lossless(expected)), "{name}");
    }
    for (name, expected) in OPEN_HERE {
        let vector = named(&manifest, name);
        let opened = vector.decrypt();
        assert_eq!(opened.map(lossless).as_deref(), Ok(expected), "{name}");
    }
}

#[test]
fn bad_vectors_are_refused_for_the_expected_reason_at_the_expected_place() {
    for (bad, refused) in refusals() {
        let name = bad.name;
        let expected = match bad.why {
            Why::Syntax(line, column, words) => {
                let Refused::Parse(ParseError::Syntax(error)) = refused else {
                    panic!("{name}: {refused:?}")
                };
                assert_eq!(error.place, Place { line, column }, "{name}");
                assert!(error.problem.contains(words), "{name}: {error}");
                continue;
            }
            Why::Value(path, line, column, problem) => {
                let place = Place { line, column };
                Refused::Open(OpenError::Value { path: path.to_owned(), place, problem })
            }
            Why::Metadata(error) => Refused::Parse(ParseError::Metadata(error)),
            Why::Open(error) => Refused::Open(error),
            Why::Emit(error) => Refused::Emit(error),
            Why::Recover(error) => Refused::Recover(error),
        };
        assert_eq!(refused, expected, "{name}");
    }
}

#[test]
fn no_refusal_quotes_the_file() {
    for (bad, refused) in refusals() {
        for content in
            ["hello", "evil", "oops", "18446744073709551615", "9223372036854775808", "ENC[AES256_GCM,data"]
        {
            let message = refused.message();
            assert!(!message.contains(content), "{}: {message}", bad.name);
        }
    }
}

#[test]
fn a_bad_vector_without_its_defect_opens() {
    let manifest = manifest();
    for bad in bad::all() {
        let vector = named(&manifest, bad.name);
        let source = String::from_utf8(vector.source()).unwrap();
        let (mut format, mut keys) = (format(&vector.format), vector.keys.as_str());
        let cured = match bad.cure {
            Cure::Replace(from, to) => replace(&source, from, to),
            Cure::Rewrite(rewrite) => rewrite(&source),
            Cure::Format(other) => {
                format = other;
                source
            }
            Cure::Keys(more) => {
                keys = more;
                source
            }
        };
        let opened = decrypt_with(keys, format, cured.as_bytes());
        assert_eq!(opened.map(lossless).as_deref(), Ok(bad.opens_to), "{}", bad.name);
    }
}
