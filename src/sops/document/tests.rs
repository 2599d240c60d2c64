use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn counting_key() -> DataKey {
    DataKey::new((0..32).collect::<Vec<u8>>().as_slice()).unwrap()
}

/// The document, and whether its MAC covers every value.
fn open(format: Format, source: &[u8]) -> Option<(Document<Opened>, bool)> {
    let sealed = Document::parse(format, SecretBytes::from(source)).ok()?;
    let covers_all = !sealed.metadata().mac_only_encrypted;
    Some((sealed.open(counting_key()).ok()?, covers_all))
}

/// The crafted vectors whose MAC covers every value.
fn vectors() -> Vec<(Format, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") => Format::Yaml,
            Some("json") => Format::Json,
            Some("env") => Format::Dotenv,
            Some("ini") => Format::Ini,
            _ => continue,
        };
        let source = fs::read(&path).unwrap();
        let is_crafted = ["c-", "j-", "e-", "i-"].iter().any(|prefix| name.starts_with(prefix));
        if is_crafted && open(format, &source).is_some_and(|(_, covers_all)| covers_all) {
            found.push((format, source));
        }
    }
    found.sort_by(|(_, a), (_, b)| a.cmp(b));
    found
}

/// What the MAC covers, by a walk of its own.
fn covered(document: &Document<Opened>) -> Vec<u8> {
    fn walk(value: &Value, source: &[u8], out: &mut Vec<u8>) {
        match value {
            Value::Null | Value::Unsigned(_) => {}
            Value::Bool(bool) => out.extend(if *bool { "True".bytes() } else { "False".bytes() }),
            Value::Int(int) => out.extend(int.to_string().bytes()),
            Value::Float(float) => out.extend(number::fixed(*float).bytes()),
            Value::Time(time) => out.extend(time.to_rfc3339_nano().bytes()),
            Value::String(text) => out.extend(text.bytes(source)),
            Value::Map(map) => map.pairs().for_each(|(_, value)| walk(value, source, out)),
            Value::List(items) => {
                for item in items {
                    if let Item::Value { value, .. } = item {
                        walk(value, source, out);
                    }
                }
            }
        }
    }
    let mut out = Vec::new();
    for branch in &document.branches {
        branch.pairs().for_each(|(_, value)| walk(value, document.source.expose(), &mut out));
    }
    out
}

#[test]
fn a_value_without_escapes_is_decrypted_where_it_lies() {
    let source = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/j-ok.enc.json")).unwrap();
    let (opened, _) = open(Format::Json, &source).unwrap();
    let Ok(Value::String(Text::Span { start, len })) = KeyPath::new("a").find_in(&opened.index()) else {
        panic!("it was copied")
    };
    assert_eq!(opened.source.expose().get(*start..start + len), Some(&b"x"[..]));
    let ciphertext = source.get(*start..start + len);
    assert_ne!(ciphertext, Some(&b"x"[..]));
}

#[test]
fn integers_of_go() {
    for (text, int) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("+5", Some(5)),
        ("007", Some(7)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("", None),
        ("-", None),
        ("+-5", None),
        ("5_0", None),
        (" 5", None),
        ("٥", None),
    ] {
        assert_eq!(go_int(text), int, "{text}");
    }
}

#[test]
fn metadata_is_text_whatever_its_type() {
    for (value, text) in [
        (Value::Bool(true), "1"),
        (Value::Bool(false), "0"),
        (Value::Int(-7), "-7"),
        (Value::Float(3.70), "3.7"),
        (Value::Float(1e21), "1000000000000000000000"),
        (Value::Time(Time::parse_rfc3339("2024-01-02T03:04:05+02:00").unwrap()), "2024-01-02T03:04:05+02:00"),
        (Value::String(Text::owned(b"\xffx".to_vec())), "\u{fffd}x"),
    ] {
        assert_eq!(scalar(&value, b""), text);
    }
}

#[test]
fn the_vectors_are_many_and_say_what_they_hold() {
    let vectors = vectors();
    assert!(vectors.len() > 30, "{}", vectors.len());
    assert!(vectors.iter().any(|(format, source)| !covered(&open(*format, source).unwrap().0).is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_document_opens_to_the_same_covered_bytes_or_not_at_all(
        which in any::<Index>(),
        edits in prop::collection::vec(
            (any::<Index>(), 0..60_usize, prop::collection::vec(prop::sample::select(b"\n #:-[]{},\"'=;|>&*!ab01\t\r\xff".to_vec()), 0..3)),
            1..4,
        ),
    ) {
        static VECTORS: LazyLock<Vec<(Format, Vec<u8>)>> = LazyLock::new(vectors);
        let (format, source) = which.get(VECTORS.as_slice());
        let expected = covered(&open(*format, source).unwrap().0);
        let mut changed = source.clone();
        for (at, length, text) in edits {
            let at = at.index(changed.len());
            let end = changed.len().min(at + length);
            changed.splice(at..end, text);
            if changed.is_empty() {
                break;
            }
        }
        if let Some((opened, covers_all)) = open(*format, &changed) {
            // What opens has a MAC that somebody with the key has made, over these bytes.
            if covers_all {
                prop_assert_eq!(covered(&opened).escape_ascii().to_string(), expected.escape_ascii().to_string());
            }
            // Not everything that opens can be printed (NaN in JSON), but trying must not crash.
            drop(opened.emit());
        }
    }
}

/// A document of every format with the names `names`, each below a section `s` where there are sections.
fn with_keys(format: Format, names: &[String], indent: usize) -> String {
    let space = " ".repeat(indent);
    let mut text = String::new();
    match format {
        Format::Yaml => {
            text.push_str("s:\n");
            for name in names {
                text.extend([format!("{space}{name}: MARKER-of-a-value\n")]);
            }
            text += "sops:\n  mac: x\n  lastmodified: \"2024-01-02T03:04:05Z\"\n  version: 3.9.0\n  age:\n    - {recipient: a, enc: b}\n";
        }
        Format::Json | Format::Binary => {
            text.push_str("{\"s\": {");
            for (index, name) in names.iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                text.extend([format!("{comma}\n{space}\"{name}\": \"MARKER-of-a-value\"")]);
            }
            text += "}, \"sops\": {\"mac\": \"x\", \"lastmodified\": \"2024-01-02T03:04:05Z\", \"version\": \"3.9.0\", \"age\": [{\"recipient\": \"a\", \"enc\": \"b\"}]}}\n";
        }
        Format::Dotenv => {
            for name in names {
                text.extend([format!("{name}=MARKER-of-a-value\n")]);
            }
            text += "sops_mac=x\nsops_lastmodified=2024-01-02T03:04:05Z\nsops_version=3.9.0\nsops_age__list_0__map_recipient=a\nsops_age__list_0__map_enc=b\n";
        }
        Format::Ini => {
            text.push_str("[s]\n");
            for name in names {
                text.extend([format!("{space}{name} = MARKER-of-a-value\n")]);
            }
            text += "[sops]\nmac = x\nlastmodified = 2024-01-02T03:04:05Z\nversion = 3.9.0\nage__list_0__map_recipient = a\nage__list_0__map_enc = b\n";
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_place_of_a_key_is_where_it_stands_and_tells_nothing_of_its_value(
        names in prop::collection::btree_set("k[a-zé]{0,6}", 1..6),
        indent in 1_usize..9,
        wanted in any::<Index>(),
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let name = wanted.get(&names);
        for format in [Format::Yaml, Format::Json, Format::Binary, Format::Dotenv, Format::Ini] {
            let text = with_keys(format, &names, indent);
            let Ok(document) = Document::parse(format, SecretBytes::from(text.as_bytes())) else {
                return Err(TestCaseError::fail(text));
            };
            let key = if format == Format::Dotenv { name.clone() } else { format!("s/{name}") };
            let found = document.place_of(&KeyPath::new(&key)).unwrap();
            let line = text.lines().nth(found.place.line as usize - 1).unwrap();
            let here: String = line.chars().skip(found.place.column as usize - 1).collect();
            let expected = format!("{}{name}", found.around.0);
            prop_assert!(here.starts_with(&expected), "{:?} {:?} {}", format, found, text);
            let shown = format!("{found:?}");
            prop_assert!(!shown.contains("MARKER"));
            // What is not there leads to where it would be.
            let missing = document.place_of(&KeyPath::new(&format!("s/{name}/x"))).map(|place| place.name);
            let section = (format != Format::Dotenv).then(|| name.clone());
            prop_assert_eq!(missing, section);
        }
    }
}

#[test]
fn the_place_of_a_section_is_its_line() {
    let text = with_keys(Format::Ini, &["key".to_owned()], 1);
    let document = Document::parse(Format::Ini, SecretBytes::from(text.as_bytes())).ok().unwrap();
    let place = document.place_of(&KeyPath::new("s/missing")).unwrap();
    assert_eq!(
        (place.name.as_str(), place.around, place.place),
        ("s", ("[", "]"), Place { line: 1, column: 1 })
    );
}

#[test]
fn a_place_in_yaml_shows_how_the_key_is_quoted_and_whether_its_value_is_encrypted() {
    let keys = "m:\n 'a': ENC[x]\n \"b\": ENC[x]\n c: ENC[x]\n 'd': {}\n \"e\": x\n f: x\n";
    let text = keys.to_owned() + &with_keys(Format::Yaml, &[], 1);
    let document = Document::parse(Format::Yaml, SecretBytes::from(text.as_bytes())).ok().unwrap();
    let around = |key: &str| {
        let place = document.place_of(&KeyPath::new(key)).unwrap();
        (place.around.0, place.around.1, place.levels)
    };
    assert_eq!(around("m"), ("", ":", 1));
    assert_eq!(around("m/a"), ("'", "': ENC[…]", 2));
    assert_eq!(around("m/b"), ("\"", "\": ENC[…]", 2));
    assert_eq!(around("m/c"), ("", ": ENC[…]", 2));
    assert_eq!(around("m/d"), ("'", "':", 2));
    assert_eq!(around("m/e"), ("\"", "\": …", 2));
    assert_eq!(around("m/f"), ("", ": …", 2));
}
