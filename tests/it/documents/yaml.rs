//! YAML: encodings, documents, keys, scalars, aliases, limits.

use sops_activate::sops::cipher::ValueError;
use sops_activate::sops::document::ParseError;
use sops_activate::sops::format::Format;
use sops_activate::sops::metadata::MetadataError;
use sops_activate::sops::tree::Place;

use super::{bad_value, decrypt_text, syntax_error};
use crate::seal::{File, Public, Refused, decrypt, lossless, mac, string};

fn x() -> String {
    string("a:", "x")
}

fn sealed() -> File {
    File::yaml(format!("a: {}\n", x()), "x")
}

fn yaml(text: &str) -> Result<String, Refused> {
    decrypt_text(Format::Yaml, text)
}

fn place(line: u32, column: u32) -> Place {
    Place { line, column }
}

/// Checks what one plain value hashes to and how it is printed.
#[track_caller]
fn plain(text: &str, hashed: &str, printed: &str) {
    let opened = File::yaml(format!("a_unencrypted: {text}\n"), hashed).decrypt();
    assert_eq!(opened, Ok(format!("a_unencrypted: {printed}\n")), "{text}");
}

// 60
#[test]
fn any_encoding_of_yaml_opens() {
    let text = File::yaml(format!("é_unencrypted: ü\na: {}\n", x()), "üx").text();
    let expected = "é_unencrypted: ü\na: x\n";
    let units: Vec<u16> = format!("\u{feff}{text}").encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    for source in [
        text.clone().into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
        text.replace('\n', "\r\n").into_bytes(),
        little,
        big,
    ] {
        assert_eq!(decrypt(Format::Yaml, &source, &Public).map(lossless).as_deref(), Ok(expected));
    }
}

// 60
#[test]
fn control_characters_and_bad_utf_8_are_refused() {
    for character in ['\0', '\u{1}', '\u{7f}', '\u{1b}'] {
        let text = File::yaml(format!("b_unencrypted: 'x{character}'\n"), "").text();
        assert_eq!(syntax_error(Format::Yaml, &text).0.line, 1, "{character:?}");
    }
    let bad = decrypt(Format::Yaml, b"a: \xff\nsops: {}\n", &Public);
    assert!(matches!(bad, Err(Refused::Parse(ParseError::Syntax(error))) if error.place.line == 1));
}

// 60
#[test]
fn tabs_may_not_indent() {
    let text = File::yaml(format!("m:\n\ta: {}\n", string("m:a:", "x")), "x").text();
    assert_eq!(syntax_error(Format::Yaml, &text).0.line, 2);
}

// 60
#[test]
fn the_version_of_yaml_is_1_1() {
    let text = sealed().text();
    assert_eq!(yaml(&format!("%YAML 1.1\n---\n{text}")).as_deref(), Ok("a: x\n"));
    assert_eq!(syntax_error(Format::Yaml, &format!("%YAML 1.2\n---\n{text}")).0, place(2, 1));
}

// 61
#[test]
fn documents_must_be_mappings_and_the_first_holds_the_metadata() {
    let text = sealed().text();
    assert_eq!(syntax_error(Format::Yaml, &format!("{text}---\n- b\n")).0, place(4, 1));
    assert_eq!(syntax_error(Format::Yaml, &format!("{text}---\ntext\n")).0, place(4, 1));
    assert_eq!(syntax_error(Format::Yaml, "text\n").0, place(1, 1));
    assert_eq!(yaml(&format!("{text}---\n")).as_deref(), Ok("a: x\n---\n{}\n"));
    assert_eq!(yaml(&format!("{text}---\nnull\n---\n{{}}\n")).as_deref(), Ok("a: x\n---\n{}\n---\n{}\n"));
    assert_eq!(yaml(&format!("---\n{text}...\n")).as_deref(), Ok("a: x\n"));
    assert_eq!(yaml(&format!("---\n---\n{text}")), Err(Refused::Parse(MetadataError::NotFound.into())));
}

// 62
#[test]
fn keys_must_be_strings() {
    for key in ["1", "~", "true", "1.5", "2001-01-01", "0x1f", ".inf", "[a]", "{a: b}", "null", ""] {
        let text = File::yaml(format!("b_unencrypted: 1\n{key}: x\n"), "").text();
        assert_eq!(syntax_error(Format::Yaml, &text).0.line, 2, "{key}");
    }
    for (key, printed) in
        [("\"1\"", "\"1\""), ("yes", "\"yes\""), ("'~'", "\"~\""), ("!!str 1", "\"1\""), ("on", "\"on\"")]
    {
        let name = printed.trim_matches('"');
        let file = File::yaml(format!("{key}: {}\n", string(&format!("{name}:"), "x")), "x");
        assert_eq!(file.decrypt(), Ok(format!("{printed}: x\n")), "{key}");
    }
}

// 63
#[test]
fn a_key_twice_is_refused_in_the_first_document_and_kept_in_the_others() {
    for body in [
        "b_unencrypted: 1\nb_unencrypted: 2\n",
        "m: {k: null, j: null, k: null}\n",
        "l:\n- k: null\n  k: null\n",
    ] {
        let (_, words) = syntax_error(Format::Yaml, &File::yaml(body, "").text());
        assert!(words.contains("already defined"), "{words}");
    }
    let text = sealed().text().replace(&mac("x"), &mac("xyz"));
    let text = format!("{text}---\nb: {}\nb: {}\n", string("b:", "y"), string("b:", "z"));
    assert_eq!(yaml(&text).as_deref(), Ok("a: x\n---\nb: \"y\"\nb: z\n"));
}

// 64
#[test]
fn aliases_are_expanded_where_they_stand() {
    let file =
        File::yaml("m_unencrypted: &m {k: 1}\nn_unencrypted: *m\no_unencrypted:\n  <<: *m\n  j: 2\n", "1112");
    let expected = "m_unencrypted:\n    k: 1\nn_unencrypted:\n    k: 1\no_unencrypted:\n    !!merge <<:\n        k: 1\n    j: 2\n";
    assert_eq!(file.decrypt().as_deref(), Ok(expected));
    // An encrypted value opens under its own key only.
    let file = File::yaml(format!("a: &x {}\nb: *x\n", x()), "xx");
    assert_eq!(bad_value(&file), ("b".to_owned(), ValueError::Authentication));
    let list = File::yaml(format!("a:\n- &x {}\n- *x\n", x()), "xx");
    assert_eq!(list.decrypt().as_deref(), Ok("a:\n    - x\n    - x\n"));
}

// 64
#[test]
fn an_alias_bomb_is_refused_at_once() {
    let line = |level: i32| {
        let item = if level == 0 { "x".to_owned() } else { format!("*a{}", level - 1) };
        format!("a{level}_unencrypted: &a{level} [{}]\n", vec![item; 10].join(", "))
    };
    let body: Vec<String> = (0..10).map(line).collect();
    syntax_error(Format::Yaml, &File::yaml(body.concat(), "").text());
}

// 65
#[test]
fn plain_scalars_mean_what_they_mean_to_sops() {
    plain("08", "8", "8");
    plain("010", "8", "8");
    plain("0o10", "8", "8");
    plain("0o8", "0o8", "0o8");
    plain("1_000", "1000", "1000");
    plain("0b11", "3", "3");
    plain("-0b11", "-3", "-3");
    plain("+5", "5", "5");
    plain("0x1F", "31", "31");
    plain("-0x10", "-16", "-16");
    plain("1e3", "1000", "1000");
    plain("1e6", "1000000", "1e+06");
    plain("1e400", "1e400", "1e400");
    plain(".5", "0.5", "0.5");
    plain("5.", "5", "5");
    plain(".inf", "+Inf", ".inf");
    plain("-.INF", "-Inf", "-.inf");
    plain(".NaN", "NaN", ".nan");
    plain("2001-01-01", "2001-01-01T00:00:00Z", "2001-01-01T00:00:00Z");
    plain("2001-1-2", "2001-01-02T00:00:00Z", "2001-01-02T00:00:00Z");
    plain("2001-02-30", "2001-02-30", "2001-02-30");
    plain("9223372036854775807", "9223372036854775807", "9223372036854775807");
    plain("18446744073709551616", "18446744073709552000", "1.8446744073709552e+19");
    plain("yes", "yes", "\"yes\"");
    plain("12:30:45", "12:30:45", "\"12:30:45\"");
    plain("~", "", "null");
    plain("TRUE", "True", "true");
    plain("tRUE", "tRUE", "tRUE");
    plain("_", "_", "_");
    plain("'-'", "-", "'-'");
    plain("1__0", "10", "10");
}

// 66
#[test]
fn tags_say_what_a_scalar_is() {
    plain("!!binary aGVsbG8=", "hello", "hello");
    plain("!!str 5", "5", "\"5\"");
    plain("!foo 5", "5", "\"5\"");
    plain("!!int '5'", "5", "5");
    plain("!!float '5'", "5", "5");
    plain("!!bool 'true'", "True", "true");
    plain("!!null ''", "", "null");
    let binary = File::yaml("a_unencrypted: !!binary /w==\n", b"\xff");
    assert_eq!(binary.decrypt().as_deref(), Ok("a_unencrypted: !!binary /w==\n"));
    let set = File::yaml("a_unencrypted: !!set {x: null}\nb_unencrypted: !!omap [{y: 1}]\n", "1");
    assert_eq!(set.decrypt().as_deref(), Ok("a_unencrypted:\n    x: null\nb_unencrypted:\n    - \"y\": 1\n"));
}

// 67
#[test]
fn an_encrypted_value_may_be_written_in_any_style_that_keeps_its_text() {
    let sealed = x();
    for text in [
        sealed.clone(),
        format!("'{sealed}'"),
        format!("\"{sealed}\""),
        format!("|\n  {sealed}"),
        format!("|-\n  {sealed}"),
        format!(">-\n  {sealed}"),
        format!("!!str {sealed}"),
        format!("&anchor {sealed}"),
        format!("\n  {sealed}"),
    ] {
        let file = File::yaml(format!("a: {text}\n"), "x");
        assert_eq!(file.decrypt().as_deref(), Ok("a: x\n"), "{text}");
    }
    let folded = format!("a: >-\n  {}\n", sealed.replace(",iv:", ",\n  iv:"));
    assert_eq!(bad_value(&File::yaml(folded, "x")).1, ValueError::NotEncrypted);
    let folded = format!("a: >-\n  {}\n", sealed.replace("iv:", "iv:A\n  "));
    assert_eq!(bad_value(&File::yaml(folded, "x")).1, ValueError::Base64("iv"));
}

// 69
#[test]
fn what_sops_cannot_print_faithfully_is_printed_as_sops_does_and_extracted_as_it_is() {
    let tab = File::yaml(format!("a: {}\n", string("a:", "\tx\ny")), "\tx\ny");
    assert_eq!(tab.decrypt().as_deref(), Ok("a: null\n"));
    assert_eq!(tab.pick("a").as_deref(), Ok("\tx\ny"));
    let blank = File::yaml(format!("a:\n- {}\n", string("a:", " x\ny")), " x\ny");
    assert_eq!(blank.decrypt().as_deref(), Ok("a:\n    - |4-\n       x\n      y\n"));
    assert_eq!(blank.pick("a/0").as_deref(), Ok(" x\ny"));
}

// 70
#[test]
fn keys_are_printed_so_that_they_stay_keys() {
    let long = "k".repeat(128);
    let longer = "k".repeat(129);
    for (key, printed) in [
        ("a b", "a b: x\n".to_owned()),
        ("a: b", "'a: b': x\n".to_owned()),
        ("#", "'#': x\n".to_owned()),
        ("null", "\"null\": x\n".to_owned()),
        ("<<", "!!merge <<: x\n".to_owned()),
        ("", "\"\": x\n".to_owned()),
        ("\u{1f600}", "\"\\U0001F600\": x\n".to_owned()),
        ("two\nlines", "? |-\n    two\n    lines\n: x\n".to_owned()),
        (&long, format!("{long}: x\n")),
        (&longer, format!("? {longer}\n: x\n")),
    ] {
        let quoted = serde_json::to_string(key).unwrap();
        let file = File::yaml(format!("? {quoted}\n: {}\n", string(&format!("{key}:"), "x")), "x");
        assert_eq!(file.decrypt(), Ok(printed), "{key}");
    }
}

// 71
#[test]
fn deep_nesting_is_refused_and_does_not_exhaust_the_stack() {
    for depth in [1_000, 100_000] {
        let flow = format!("a: {}{}\n", "[".repeat(depth), "]".repeat(depth));
        let lines: Vec<String> = (0..depth.min(2_000)).map(|level| " ".repeat(level) + "a:\n").collect();
        let block = lines.concat();
        let json = format!("\"a\": {}{}", "[".repeat(depth), "]".repeat(depth));
        for (format, text) in [
            (Format::Yaml, File::yaml(flow, "").text()),
            (Format::Yaml, File::yaml(block, "").text()),
            (Format::Yaml, File::yaml(format!("a:\n{}x\n", "- ".repeat(depth)), "").text()),
            (Format::Json, File::json(json, "").text()),
            (Format::Binary, File::json("\"a\": ".to_owned() + &"{\"a\":".repeat(depth), "").text()),
        ] {
            let (_, words) = syntax_error(format, &text);
            assert!(words.contains("nest"), "{words}");
        }
    }
}

// 71
#[test]
fn nesting_that_a_person_might_write_opens() {
    let depth = 100;
    let (open, close) = ("{k: ".repeat(depth), "}".repeat(depth));
    let path = format!("a:{}", "k:".repeat(depth));
    let file = File::yaml(format!("a: {open}'{}'{close}\n", string(&path, "x")), "x");
    assert!(file.decrypt().is_ok());
}

// 72
#[test]
fn a_merge_conflict_is_named_with_its_line() {
    let value = x();
    for (body, line) in [
        (format!("<<<<<<< HEAD\na: {value}\n=======\na: {value}\n>>>>>>> other\n"), 1),
        (format!("a: {value}\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\n"), 2),
    ] {
        let (_, words) = syntax_error(Format::Yaml, &File::yaml(body, "").text());
        assert!(words.contains(&format!("merge conflict? line {line} ")), "{words}");
    }
    let metadata = format!(
        "a: {value}\nsops:\n    version: 1\n<<<<<<< HEAD\n    mac: a\n=======\n    mac: b\n>>>>>>> x\n"
    );
    let (_, words) = syntax_error(Format::Yaml, &metadata);
    assert!(words.contains("merge conflict? line 4 "), "{words}");
}

#[test]
fn a_syntax_error_holds_no_text_of_the_file() {
    for body in [
        "a: [MARKER\n",
        "MARKER\n",
        "a: 'MARKER\n",
        "a: b: MARKER\n",
        "a: *MARKER\n",
        "? [MARKER]\n: 1\n",
        "a: !!MARKER%% x\n",
        "%MARKER\n",
        "\"MARKER\": 1\n\"MARKER\": 2\n",
    ] {
        let (_, words) = syntax_error(Format::Yaml, &File::yaml(body, "").text());
        assert!(!words.contains("MARKER"), "{words}");
    }
}
