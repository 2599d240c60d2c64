//! Encrypted values: the envelope, the types, and what may stand in an encrypted position.

use sops_activate::sops::cipher::ValueError;
use sops_activate::sops::document::OpenError;
use sops_activate::sops::format::Format;
use sops_activate::sops::tree::Place;

use super::bad_value;
use crate::seal::{DATA_KEY, File, LAST_MODIFIED, Refused, entry, seal, string, value, wrapped};

/// A document whose only value, `a`, has this type and text.
fn one(kind: &str, plain: &str, hashed: &str) -> File {
    File::yaml(format!("a: '{}'\n", value("a:", kind, plain)), hashed)
}

/// A document whose only value, `a`, is this text.
fn raw(text: &str) -> File {
    File::yaml(format!("a: '{text}'\n"), "secret")
}

// 2
#[test]
fn the_example_of_sops_own_tests_opens() {
    let key = [b'f'; 32];
    let text = "ENC[AES256_GCM,data:oYyi,iv:MyIDYbT718JRr11QtBkcj3Dwm4k1aCGZBVeZf0EyV8o=,tag:t5z2Z023Up0kxwCgw1gNxg==,type:str]";
    let hash = "F7FBBA6E0636F890E56FBBF3283E524C6FA3204AE298382D624741D0DC6638326E282C41BE5E4254D8820772C5518A2C5A8C0C7F7EDA19594A7EB539453E1ED7";
    let file = File::yaml(format!("bar: {text}\n"), "")
        .field("age", format!("[{}]", entry("age1test", &wrapped(&key))))
        .text_field("mac", &seal(&key, LAST_MODIFIED, "str", hash.as_bytes()));
    assert_eq!(file.decrypt().as_deref(), Ok("bar: foo\n"));
}

// 5
#[test]
fn an_envelope_that_is_not_quite_sops_is_not_one_and_its_text_is_not_told() {
    let sealed = string("a:", "secret");
    assert_eq!(raw(&sealed).decrypt().as_deref(), Ok("a: secret\n"));
    for text in [
        format!(" {sealed}"),
        sealed.replace("AES256", "AES128"),
        sealed.replace(",type:str", ""),
        sealed.replace("type:str", "type:"),
        sealed.replace("ENC", "enc"),
        sealed.trim_end_matches(']').to_owned(),
        "ENC[AES256_GCM,data:,iv:AA==,tag:AA==,type:str]".to_owned(),
        "ENC[AES256_GCM,data:QQ==,iv:AA==,type:str]".to_owned(),
        "hunter2".to_owned(),
    ] {
        let file = raw(&text);
        assert_eq!(bad_value(&file), ("a".to_owned(), ValueError::NotEncrypted), "{text}");
        let message = file.decrypt().unwrap_err().message();
        assert!(!message.contains(text.trim()), "{message}");
    }
}

// 4
#[test]
fn what_follows_the_bracket_is_ignored() {
    let sealed = string("a:", "secret");
    for tail in [" junk", "ENC[", "\\n] more"] {
        let file = File::yaml(format!("a: \"{sealed}{tail}\"\n"), "secret");
        assert_eq!(file.decrypt().as_deref(), Ok("a: secret\n"), "{tail}");
    }
    assert_eq!(bad_value(&raw(&format!("{sealed} x]"))).1, ValueError::UnknownType);
}

// 7
#[test]
fn a_tag_that_is_cut_short_is_refused() {
    let sealed = string("a:", "secret");
    let (head, tail) = sealed.split_once(",tag:").unwrap();
    let (tag, kind) = tail.split_once(',').unwrap();
    let with_tag = |tag: &str| raw(&format!("{head},tag:{tag},{kind}"));
    // 15 bytes: the last byte of the data is taken for the first of the tag.
    assert_eq!(bad_value(&with_tag(&tag[..19])).1, ValueError::Base64("tag"));
    assert_eq!(bad_value(&with_tag(&tag[..20])).1, ValueError::Authentication);
    // 6 bytes of data and 3 of the tag.
    assert_eq!(bad_value(&with_tag(&tag[..4])).1, ValueError::Truncated);
    assert_eq!(bad_value(&with_tag("====")).1, ValueError::Base64("tag"));
}

// 4.1: the split between data and tag is not enforced.
#[test]
fn the_tag_may_lie_across_both_fields() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let sealed = string("a:", "secret");
    let field = |name: &str| {
        let (_, rest) = sealed.split_once(name).unwrap();
        STANDARD.decode(rest.split_once(',').unwrap().0).unwrap()
    };
    let (mut data, tag, nonce) = (field("data:"), field("tag:"), field("iv:"));
    data.extend(&tag[..7]);
    let [data, nonce, tag] = [&data[..], &nonce, &tag[7..]].map(|bytes| STANDARD.encode(bytes));
    let file = raw(&format!("ENC[AES256_GCM,data:{data},iv:{nonce},tag:{tag},type:str]"));
    assert_eq!(file.decrypt().as_deref(), Ok("a: secret\n"));
}

// 8
#[test]
fn a_moved_value_is_refused_with_its_whole_path_and_place() {
    let (here, there) = (string("m:l:x:", "here"), string("m:l:y:", "there"));
    let body = |x: &str, y: &str| format!("m:\n  l:\n  - plain_unencrypted: 1\n  - y: {y}\n    x: {x}\n");
    assert!(File::yaml(body(&here, &there), "1therehere").decrypt().is_ok());
    let moved = File::yaml(body(&there, &there), "1theretthere").decrypt();
    let expected = OpenError::Value {
        path: "m/l/1/x".to_owned(),
        place: Place { line: 5, column: 5 },
        problem: ValueError::Authentication,
    };
    assert_eq!(moved, Err(Refused::Open(expected)));
}

// 9
#[test]
fn a_key_with_a_colon_shares_its_path_with_nested_keys() {
    let sealed = string("a:b:", "x");
    let file = File::yaml(format!("a:b: {sealed}\na:\n  b: {sealed}\n"), "xx");
    assert_eq!(file.decrypt().as_deref(), Ok("a:b: x\na:\n    b: x\n"));
}

// 11
#[test]
fn integers_are_decimal_and_of_64_bits() {
    for (plain, int) in [
        ("7", "7"),
        ("-7", "-7"),
        ("+7", "7"),
        ("007", "7"),
        ("-0", "0"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
    ] {
        assert_eq!(one("int", plain, int).decrypt(), Ok(format!("a: {int}\n")), "{plain}");
    }
    for plain in
        ["5x", " ", " 5", "5 ", "1_0", "0x10", "1.0", "1e3", "+", "-", "9223372036854775808", "MARKER"]
    {
        let file = one("int", plain, plain);
        assert_eq!(
            bad_value(&file),
            ("a".to_owned(), ValueError::Plaintext("an integer of 64 bits")),
            "{plain}"
        );
        assert!(!file.decrypt().unwrap_err().message().contains("MARKER"));
    }
}

// 12
#[test]
fn booleans_have_the_spellings_of_go() {
    for plain in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(one("bool", plain, "True").decrypt().as_deref(), Ok("a: true\n"), "{plain}");
    }
    for plain in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(one("bool", plain, "False").decrypt().as_deref(), Ok("a: false\n"), "{plain}");
    }
    for plain in ["yes", "tRUE", " ", "2", "on"] {
        assert_eq!(bad_value(&one("bool", plain, plain)).1, ValueError::Plaintext("a boolean"), "{plain}");
    }
}

// 13
#[test]
fn floats_are_those_of_go() {
    for (plain, hashed, printed) in [
        ("1.5", "1.5", "1.5"),
        ("1e6", "1000000", "1e+06"),
        ("1e-7", "0.0000001", "1e-07"),
        ("1", "1", "1"),
        ("-0", "-0", "-0"),
        ("0x1p4", "16", "16"),
        ("inf", "+Inf", ".inf"),
        ("-Inf", "-Inf", "-.inf"),
        ("NaN", "NaN", ".nan"),
        ("1e21", "1000000000000000000000", "1e+21"),
        ("9223372036854775808", "9223372036854776000", "9.223372036854776e+18"),
    ] {
        assert_eq!(one("float", plain, hashed).decrypt(), Ok(format!("a: {printed}\n")), "{plain}");
    }
    for plain in ["1e400", "-1e400", "1.5x", " ", "1,5", "0x1"] {
        assert_eq!(bad_value(&one("float", plain, plain)).1, ValueError::Plaintext("a float"), "{plain}");
    }
}

// 14
#[test]
fn times_are_strict_rfc_3339() {
    for (plain, printed) in [
        ("2001-02-03T04:05:06Z", "2001-02-03T04:05:06Z"),
        ("2001-02-03T04:05:06.500Z", "2001-02-03T04:05:06.5Z"),
        ("2001-02-03T04:05:06+02:00", "2001-02-03T04:05:06+02:00"),
        ("2001-02-03T04:05:06-00:00", "2001-02-03T04:05:06Z"),
    ] {
        assert_eq!(one("time", plain, printed).decrypt(), Ok(format!("a: {printed}\n")), "{plain}");
    }
    for plain in ["2001-01-01", "2001-02-03 04:05:06Z", "2001-02-30T00:00:00Z", "now"] {
        assert_eq!(
            bad_value(&one("time", plain, plain)).1,
            ValueError::Plaintext("an RFC 3339 time"),
            "{plain}"
        );
    }
}

// 10
#[test]
fn a_type_that_sops_does_not_know_is_refused_whatever_its_text() {
    for kind in ["foo", "Str", "string", " str", "str ", "null"] {
        assert_eq!(bad_value(&one(kind, "secret", "secret")).1, ValueError::UnknownType, "{kind}");
    }
    assert_eq!(one("bytes", "secret", "secret").decrypt().as_deref(), Ok("a: secret\n"));
}

// 15
#[test]
fn an_empty_string_is_never_encrypted() {
    let file = File::yaml("a: ''\nb_unencrypted: ''\n", "");
    assert_eq!(file.decrypt().as_deref(), Ok("a: \"\"\nb_unencrypted: \"\"\n"));
    let env = File::new(Format::Dotenv, "A=\n", "");
    assert_eq!(env.decrypt().as_deref(), Ok("A=\n"));
}

// 16
#[test]
fn null_stays_null_and_is_not_hashed() {
    let body = format!("a: null\nb: {}\nc_unencrypted: ~\n", string("b:", "x"));
    assert_eq!(File::yaml(body, "x").decrypt().as_deref(), Ok("a: null\nb: x\nc_unencrypted: null\n"));
    assert_eq!(File::json(r#""a": null"#, "").decrypt().as_deref(), Ok("{\n\t\"a\": null\n}\n"));
}

// 17
#[test]
fn every_plain_scalar_in_an_encrypted_position_is_refused_by_its_type() {
    for (text, kind) in [
        ("5", "an integer"),
        ("1.5", "a float"),
        ("true", "a boolean"),
        ("2001-01-01", "a time"),
        ("18446744073709551615", "an integer"),
    ] {
        let file = File::yaml(format!("m:\n- a: {text}\n"), text);
        assert_eq!(bad_value(&file), ("m/0/a".to_owned(), ValueError::NotString(kind)), "{text}");
        assert!(!file.decrypt().unwrap_err().message().contains(text));
    }
}

// 18
#[test]
fn a_plain_value_that_looks_encrypted_is_kept_and_hashed_as_it_is() {
    let sealed = string("a_unencrypted:", "x");
    let file = |hashed: &str| File::yaml(format!("a_unencrypted: {sealed}\n"), hashed);
    assert_eq!(file(&sealed).decrypt(), Ok(format!("a_unencrypted: {sealed}\n")));
    assert_eq!(file("x").decrypt(), Err(Refused::Open(OpenError::MacMismatch)));
}

// 19
#[test]
fn bytes_that_are_not_utf_8_survive() {
    let bytes = b"\0\xff\n\xfe\r\n ";
    let sealed = value("data:", "str", bytes);
    let file = File::new(Format::Binary, format!("\"data\": \"{sealed}\""), bytes);
    assert_eq!(file.open().ok().unwrap().emit().unwrap().expose(), bytes);
}

// 20
#[test]
fn empty_containers_are_kept() {
    let file = File::yaml("a: {}\nb: []\nc: {d: [[], {}]}\n", "");
    assert_eq!(file.decrypt().as_deref(), Ok("a: {}\nb: []\nc:\n    d:\n        - []\n        - {}\n"));
    assert_eq!(File::yaml("", "").decrypt().as_deref(), Ok("{}\n"));
}

// Appendix C.4
#[test]
fn a_comment_in_the_place_of_a_value_is_refused() {
    assert_eq!(bad_value(&one("comment", "x", "")), ("a".to_owned(), ValueError::CommentAsValue));
}

#[test]
fn a_key_of_another_size_is_refused() {
    let file =
        one("str", "x", "x").field("age", format!("[{}]", entry("age1test", &wrapped(&DATA_KEY[..16]))));
    let refused = file.decrypt().unwrap_err();
    assert!(refused.message().contains("16 bytes, not 32"), "{refused:?}");
}
