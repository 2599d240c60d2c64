//! Documents that somebody has changed: whatever the change, they open to what was sealed or not at all.

use proptest::prelude::*;
use proptest::sample::Index;
use sops_activate::secret::SecretBytes;
use sops_activate::sops::data_key::DataKey;
use sops_activate::sops::document::Document;
use sops_activate::sops::format::Format;

use crate::seal::{DATA_KEY, File, string, value};

/// Documents in which every value is encrypted, each string with marks around it that no key and no ciphertext has.
fn sealed() -> Vec<(Format, Vec<u8>)> {
    let yaml = format!(
        "a: {}\nm:\n  b: {}\n  l:\n  - {}\n  - {}\n",
        string("a:", "«first»"),
        value("m:b:", "int", "-7"),
        value("m:l:", "bool", "True"),
        string("m:l:", "«two\nlines»")
    );
    let json = format!(
        "\"a\": \"{}\", \"b\": [\"{}\", {{\"c\": \"{}\"}}]",
        string("a:", "«one»"),
        string("b:", "«two»"),
        string("b:c:", "«three»")
    );
    let binary = format!("\"data\": \"{}\"", string("data:", "«content»"));
    let env = format!("A={}\nB={}\n", string("A:", "«one»"), string("B:", "«two»"));
    let ini = format!(
        "[s]\nk = {}\nl = {}\n[t]\nk = {}\n",
        string("s:k:", "«one»"),
        string("s:l:", "«two»"),
        string("t:k:", "«three»")
    );
    [
        File::yaml(yaml, "«first»-7True«two\nlines»"),
        File::json(json, "«one»«two»«three»"),
        File::new(Format::Binary, binary, "«content»"),
        File::new(Format::Dotenv, env, "«one»«two»"),
        File::new(Format::Ini, ini, "«one»«two»«three»"),
    ]
    .map(|file| (file.format, file.text().into_bytes()))
    .to_vec()
}

fn open(format: Format, source: &[u8]) -> Option<Vec<u8>> {
    let document = Document::parse(format, SecretBytes::from(source)).ok()?;
    // The data key is the right one whatever became of its stanza.
    let opened = document.open(DataKey::new(&DATA_KEY)?).ok()?;
    opened.emit().ok().map(|plain| plain.expose().to_vec())
}

#[derive(Clone, Debug)]
enum Edit {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index, usize),
    /// Part of the file, once more in another place.
    Copy(Index, usize, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let byte =
        prop_oneof![any::<u8>(), prop::sample::select(b"\n #:-[]{},\"'=;|>&*!%@`~?\\_AZaz059\t\r".to_vec()),];
    prop_oneof![
        (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        (any::<Index>(), byte).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<Index>(), 1..200_usize, any::<Index>())
            .prop_map(|(at, length, to)| Edit::Copy(at, length, to)),
    ]
}

fn apply(source: &mut Vec<u8>, edit: &Edit) {
    let end = |at: usize, length: &usize, source: &[u8]| source.len().min(at + length);
    match edit {
        _ if source.is_empty() => {}
        Edit::Replace(at, byte) => {
            let at = at.index(source.len());
            source[at] = *byte;
        }
        Edit::Insert(at, byte) => source.insert(at.index(source.len()), *byte),
        Edit::Remove(at, length) => {
            let at = at.index(source.len());
            source.drain(at..end(at, length, source));
        }
        Edit::Copy(at, length, to) => {
            let at = at.index(source.len());
            let part = source[at..end(at, length, source)].to_vec();
            let to = to.index(source.len());
            source.splice(to..to, part);
        }
    }
}

/// The strings of a plaintext, in order. Beside them a changed document may hold what no MAC covers: comments, nulls,
/// empty values and containers; and `m:` with `b:` below it may become `m:b:`.
fn strings(plain: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(plain);
    text.split('«').skip(1).map(|rest| rest.split('»').next().unwrap().to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_document_opens_to_the_strings_that_were_sealed_or_not_at_all(
        which in any::<Index>(),
        edits in prop::collection::vec(edit(), 1..4),
    ) {
        let documents = sealed();
        let (format, source) = which.get(&documents);
        let expected = open(*format, source).unwrap();
        let mut changed = source.clone();
        for edit in &edits {
            apply(&mut changed, edit);
        }
        if let Some(plain) = open(*format, &changed) {
            prop_assert_eq!(strings(&plain), strings(&expected), "{}", changed.escape_ascii());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        format in prop::sample::select(vec![Format::Yaml, Format::Json, Format::Binary, Format::Dotenv, Format::Ini]),
        source in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        prop_assert_eq!(open(format, &source), None);
    }
}

#[test]
fn every_single_byte_counts() {
    for (format, source) in sealed() {
        let expected = open(format, &source).unwrap();
        for at in 0..source.len() {
            for change in [0x01, 0x20, 0x80] {
                let mut changed = source.clone();
                changed[at] ^= change;
                if let Some(plain) = open(format, &changed) {
                    assert_eq!(strings(&plain), strings(&expected), "{format:?} {at}");
                }
            }
        }
    }
}
