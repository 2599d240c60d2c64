//! JSON, binary files, and files read as the wrong format.

use std::fs;
use std::path::Path;

use sops_activate::sops::cipher::ValueError;
use sops_activate::sops::document::ParseError;
use sops_activate::sops::format::{EmitError, Format};
use sops_activate::sops::metadata::MetadataError;
use sops_activate::sops::tree::Place;

use super::{bad_value, decrypt_text, syntax_error};
use crate::fixtures::keyring;
use crate::seal::{File, Public, Refused, decrypt, string, value};

/// Checks what one plain value hashes to and how it is printed.
#[track_caller]
fn plain(text: &str, hashed: &str, printed: &str) {
    let opened = File::json(format!("\"a_unencrypted\": {text}"), hashed).decrypt();
    assert_eq!(opened, Ok(format!("{{\n\t\"a_unencrypted\": {printed}\n}}\n")), "{text}");
}

// 73
#[test]
fn numbers_are_those_of_go() {
    for (text, hashed, printed) in [
        ("0", "0", "0"),
        ("-0", "-0", "-0"),
        ("-0.0", "-0", "-0"),
        ("1.0", "1", "1"),
        ("1e3", "1000", "1000"),
        ("1E+2", "100", "100"),
        ("1e21", "1000000000000000000000", "1e+21"),
        ("1e20", "100000000000000000000", "100000000000000000000"),
        ("1e-6", "0.000001", "0.000001"),
        ("1e-7", "0.0000001", "1e-7"),
        ("9223372036854775807", "9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9223372036854776000", "9223372036854776000"),
        ("1e-400", "0", "0"),
        ("123456789.125", "123456789.125", "123456789.125"),
    ] {
        plain(text, hashed, printed);
    }
    for text in ["1e400", "-1e400", "01", "1.", ".5", "+1", "1e", "--1", "0x10", "NaN", "Infinity", "1_000"] {
        syntax_error(Format::Json, &File::json(format!("\"a_unencrypted\": {text}"), "").text());
    }
}

// 73
#[test]
fn encrypted_values_of_every_type_print_as_json() {
    for (kind, text, hashed, printed) in [
        ("int", "7", "7", "7"),
        ("float", "1e21", "1000000000000000000000", "1e+21"),
        ("float", "2", "2", "2"),
        ("bool", "True", "True", "true"),
        ("time", "2001-02-03T04:05:06.50Z", "2001-02-03T04:05:06.5Z", "\"2001-02-03T04:05:06.5Z\""),
        ("str", "7", "7", "\"7\""),
    ] {
        let file = File::json(format!("\"a\": \"{}\"", value("a:", kind, text)), hashed);
        assert_eq!(file.decrypt(), Ok(format!("{{\n\t\"a\": {printed}\n}}\n")), "{kind} {text}");
    }
    for text in ["NaN", "inf"] {
        let file = File::json(
            format!("\"m\": {{\"a\": \"{}\"}}", value("m:a:", "float", text)),
            if text == "NaN" { "NaN" } else { "+Inf" },
        );
        let expected = EmitError::NotRepresentable {
            key: "m/a".to_owned(),
            kind: "a float that is not finite",
            format: "JSON",
        };
        assert_eq!(file.decrypt(), Err(Refused::Emit(expected)));
    }
}

// 73
#[test]
fn strings_are_escaped_as_go_escapes_them() {
    plain(r#""<&>""#, "<&>", r#""\u003c\u0026\u003e""#);
    plain(r#""\u2028\u2029""#, "\u{2028}\u{2029}", r#""\u2028\u2029""#);
    plain(r#""\b\f\n\r\t\u0001\u007f""#, "\u{8}\u{c}\n\r\t\u{1}\u{7f}", "\"\\b\\f\\n\\r\\t\\u0001\u{7f}\"");
    plain(r#""\/\"\\""#, "/\"\\", r#""/\"\\""#);
    plain(r#""\ud83d\ude00""#, "\u{1f600}", "\"\u{1f600}\"");
    plain(r#""\ud83dx""#, "\u{fffd}x", "\"\u{fffd}x\"");
    plain(r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}", "\"\u{fffd}\u{fffd}\"");
    let bytes = File::json(format!("\"a\": \"{}\"", string("a:", b"\xff\xfe")), b"\xff\xfe");
    assert_eq!(bytes.decrypt().as_deref(), Ok("{\n\t\"a\": \"\\ufffd\\ufffd\"\n}\n"));
    let key = File::json(format!("\"<\\u0000>\": \"{}\"", string("<\0>:", "x")), "x");
    assert_eq!(key.decrypt().as_deref(), Ok("{\n\t\"\\u003c\\u0000\\u003e\": \"x\"\n}\n"));
}

// 73
#[test]
fn order_and_duplicate_keys_are_kept() {
    let body = format!("\"b\": \"{}\", \"a\": {{}}, \"b\": \"{}\"", string("b:", "x"), string("b:", "y"));
    let file = File::json(body, "xy");
    assert_eq!(file.decrypt().as_deref(), Ok("{\n\t\"b\": \"x\",\n\t\"a\": {},\n\t\"b\": \"y\"\n}\n"));
}

// 74
#[test]
fn what_is_not_json_is_refused_at_its_place() {
    let value = string("a:", "x");
    let good = File::json(format!("\"a\": \"{value}\""), "x").text();
    assert!(decrypt_text(Format::Json, &good).is_ok());
    let place = |line, column| Place { line, column };
    for (text, expected) in [
        (String::new(), place(1, 1)),
        ("\n  ".to_owned(), place(2, 3)),
        ("null".to_owned(), place(1, 1)),
        ("[]".to_owned(), place(1, 1)),
        ("\"x\"".to_owned(), place(1, 1)),
        ("{\"a\": \n  'x'}".to_owned(), place(2, 3)),
        ("{\"é\": tru}".to_owned(), place(1, 7)),
        ("{\"a\" 1}".to_owned(), place(1, 6)),
        ("{\"a\": 1,}".to_owned(), place(1, 9)),
        ("{a: 1}".to_owned(), place(1, 2)),
        ("{\"a\": [1 2]}".to_owned(), place(1, 10)),
        ("{\"a\": \"x\ty\"}".to_owned(), place(1, 9)),
        ("{\"a\": \"\\x\"}".to_owned(), place(1, 8)),
        ("{\"a\": \"\\u12g4\"}".to_owned(), place(1, 8)),
        (format!("{good}x"), place(2, 1)),
        (format!("{good}{good}"), place(2, 1)),
        ("{\"a\": \"x\" // c\n}".to_owned(), place(1, 11)),
    ] {
        assert_eq!(syntax_error(Format::Json, &text).0, expected, "{text}");
    }
    for end in 0..good.len() - 2 {
        let cut = good.get(..end).unwrap();
        let (_, words) = syntax_error(Format::Json, cut);
        assert!(words.contains("ends too early"), "{end}: {words}");
    }
}

// 74
#[test]
fn a_syntax_error_holds_no_text_of_the_file() {
    for text in ["{\"a\": MARKER}", "{\"MARKER\" 1}", "{\"a\": \"\\MARKER\"}", "MARKER", "{\"a\": 1MARKER}"] {
        let (_, words) = syntax_error(Format::Json, text);
        assert!(!words.contains("MARKER"), "{words}");
    }
}

// 75
#[test]
fn a_binary_file_is_the_string_named_data() {
    let sealed = string("data:", "line\nno end");
    let file = File::new(
        Format::Binary,
        format!("\"other\": \"{}\", \"data\": \"{sealed}\"", string("other:", "x")),
        "xline\nno end",
    );
    assert_eq!(file.decrypt().as_deref(), Ok("line\nno end"));
    let empty = File::new(Format::Binary, "\"data\": \"\"", "");
    assert_eq!(empty.decrypt().as_deref(), Ok(""));
    let first = format!("\"data\": \"{}\", \"data\": \"{}\"", string("data:", "1"), string("data:", "2"));
    assert_eq!(File::new(Format::Binary, first, "12").decrypt().as_deref(), Ok("1"));
    let plain = File::new(Format::Binary, "\"data\": \"hello\"", "hello");
    assert_eq!(bad_value(&plain), ("data".to_owned(), ValueError::NotEncrypted));
    for (body, hashed) in [("\"data\": null", ""), ("\"data\": {}", ""), ("\"data\": []", "")] {
        let refused = File::new(Format::Binary, body, hashed).decrypt();
        assert_eq!(refused, Err(Refused::Emit(EmitError::BinaryDataNotString)), "{body}");
    }
    assert_eq!(File::new(Format::Binary, "", "").decrypt(), Err(Refused::Emit(EmitError::NoBinaryData)));
}

// 78
#[test]
fn a_file_of_another_format_is_refused_except_where_one_format_holds_the_other() {
    use Format::{Binary, Dotenv, Ini, Json, Yaml};
    let sealed = |format| match format {
        Yaml => File::new(Yaml, format!("a: {}\n", string("a:", "x")), "x"),
        Json => File::new(Json, format!("\"a\": \"{}\"", string("a:", "x")), "x"),
        Binary => File::new(Binary, format!("\"data\": \"{}\"", string("data:", "x")), "x"),
        Dotenv => File::new(Dotenv, format!("A={}\n", string("A:", "x")), "x"),
        Ini => File::new(Ini, format!("[s]\nk = {}\n", string("s:k:", "x")), "x"),
    };
    let formats = [Yaml, Json, Binary, Dotenv, Ini];
    for actual in formats {
        let text = sealed(actual).text();
        for read_as in formats {
            let opened = decrypt(read_as, text.as_bytes(), &Public);
            match (actual, read_as) {
                _ if actual == read_as => assert!(opened.is_ok()),
                // JSON is YAML, and a binary file is JSON.
                (Json | Binary, Yaml) | (Binary, Json) => {
                    assert!(opened.is_ok(), "{actual:?} as {read_as:?}");
                }
                (Json, Binary) => assert_eq!(opened, Err(Refused::Emit(EmitError::NoBinaryData))),
                _ => assert!(
                    matches!(
                        opened,
                        Err(Refused::Parse(
                            ParseError::Syntax(_) | ParseError::Metadata(MetadataError::NotFound)
                        ))
                    ),
                    "{actual:?} as {read_as:?}: {opened:?}"
                ),
            }
        }
    }
}

// 45
#[test]
fn each_of_two_recipients_opens_alone() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let source = fs::read(directory.join("yaml-two-recipients.enc.yaml")).unwrap();
    let plain = fs::read(directory.join("yaml-two-recipients.plain")).unwrap();
    let mut opened = 0;
    for keys in ["age-keys.txt", "age-keys-2.txt", "age-keys-3.txt", "age-keys-4.txt"] {
        if let Ok(bytes) = decrypt(Format::Yaml, &source, &keyring(&[directory.join(keys)])) {
            assert_eq!(bytes, plain);
            opened += 1;
        }
    }
    assert_eq!(opened, 2);
}
