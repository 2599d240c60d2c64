//! The MAC: what it covers, and every way in which it can be wrong.

use sops_activate::sops::cipher::ValueError;
use sops_activate::sops::document::{OpenError, ParseError};
use sops_activate::sops::format::Format;
use sops_activate::sops::metadata::MetadataError;

use crate::seal::{File, LAST_MODIFIED, Refused, mac, mac_at, mac_only_encrypted_marker, string, value};

const MISMATCH: Result<String, Refused> = Err(Refused::Open(OpenError::MacMismatch));

fn sealed(hashed: &str) -> File {
    File::yaml(format!("a: {}\n", string("a:", "x")), hashed)
}

// 30
#[test]
fn the_worked_example_has_the_worked_mac() {
    let hash = "7C617442C838379F478B078BE11B2131C49B055A02D85602EE8FC9B0821BCDCEC580D9F34D4030E9D90357A2D0448C3B3080EDED0F758BC071D42EC290861267";
    let body = "a: x\nb: true\nc: 1.5\nd: -7\ne: 2001-02-03T04:05:06Z\nf: ''\ng: 1e6\nh: null\n";
    let file = File::yaml(body, "")
        .text_field("unencrypted_regex", "")
        .text_field("encrypted_suffix", "none")
        .text_field("mac", &value(LAST_MODIFIED, "str", hash));
    assert!(file.decrypt().is_ok());
    let stored = "ENC[AES256_GCM,data:IILHebo74hGFaVVP1bdYubOmj+ZbwBES4gEMla0+y8C32Vn4c8rG/xSyMKeyY6h9Rz25HOc1d6zzM3O/c8nJtoyJcnk9VguFzfVaMeOEsdn5ZplMvzYchPjyfSSLZej7ie+N7oknxJFGS+cvavLWc8JKu8VRNhHMQfiEB2HkOa4=,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:x5PPQXNCaKiFNlPLvsr07Q==,type:str]";
    assert!(file.text_field("mac", stored).decrypt().is_ok());
}

// 30
#[test]
fn a_document_without_values_has_the_mac_of_nothing() {
    assert!(File::yaml("", "").decrypt().is_ok());
    assert_eq!(File::yaml("", "x").decrypt(), MISMATCH);
}

// 21
#[test]
fn a_missing_mac_is_a_failure() {
    let missing = Err(Refused::Open(OpenError::MacMissing));
    assert_eq!(sealed("x").without("mac").decrypt(), missing);
    assert_eq!(sealed("x").text_field("mac", "").decrypt(), missing);
    assert_eq!(sealed("x").field("mac", "null").decrypt(), missing);
    let env = File::new(Format::Dotenv, format!("A={}\n", string("A:", "x")), "x");
    assert_eq!(env.without("mac").decrypt(), missing);
}

// 22
#[test]
fn a_mac_that_is_not_an_upper_case_hash_of_type_str_does_not_match() {
    let hash = "A4ABD4448C49562D828115D13A1FCCEA927F52B4D5459297F8B43E42DA89238BC13626E43DCB38DDB082488927EC904FB42057443983E88585179D50551AFE62";
    let with =
        |kind: &str, text: &str| sealed("").text_field("mac", &value(LAST_MODIFIED, kind, text)).decrypt();
    assert!(with("str", hash).is_ok());
    assert_eq!(with("str", &hash.to_lowercase()), MISMATCH);
    assert_eq!(with("str", &hash[..127]), MISMATCH);
    assert_eq!(with("str", &format!("{hash} ")), MISMATCH);
    assert_eq!(with("int", hash), MISMATCH);
    assert_eq!(with("comment", hash), MISMATCH);
}

// 22
#[test]
fn a_mac_that_does_not_decrypt_says_why() {
    let with = |mac: &str| match sealed("x").text_field("mac", mac).decrypt() {
        Err(Refused::Open(OpenError::Mac(problem))) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(with("plain"), ValueError::NotEncrypted);
    assert_eq!(with(&mac("x").replace("type:str", "type:foo")), ValueError::UnknownType);
    assert_eq!(with(&mac_at("2024-01-02T03:04:06Z", "x")), ValueError::Authentication);
    assert_eq!(with(&mac_at("2024-01-02T03:04:05Z:", "x")), ValueError::Authentication);
}

// 25, 26
#[test]
fn the_order_of_values_is_covered() {
    let (x, y) = (string("l:", "x"), string("l:", "y"));
    assert!(File::yaml(format!("l:\n- {x}\n- {y}\n"), "xy").decrypt().is_ok());
    assert_eq!(File::yaml(format!("l:\n- {y}\n- {x}\n"), "xy").decrypt(), MISMATCH);
    let (a, b) = (string("a:", "x"), string("b:", "y"));
    assert!(File::yaml(format!("a: {a}\nb: {b}\n"), "xy").decrypt().is_ok());
    assert_eq!(File::yaml(format!("b: {b}\na: {a}\n"), "xy").decrypt(), MISMATCH);
}

#[test]
fn a_value_that_was_removed_or_added_is_noticed() {
    let (a, b) = (string("a:", "x"), string("b:", "y"));
    assert_eq!(File::yaml(format!("a: {a}\n"), "xy").decrypt(), MISMATCH);
    assert_eq!(File::yaml(format!("a: {a}\nb: {b}\nc_unencrypted: z\n"), "xy").decrypt(), MISMATCH);
}

// 23, 24
#[test]
fn mac_only_encrypted_leaves_plain_values_out() {
    let marked = [mac_only_encrypted_marker(), b"x".to_vec()].concat();
    let body = |plain: &str| format!("a: {}\nb_unencrypted: {plain}\n", string("a:", "x"));
    for plain in ["good", "evil", "5"] {
        let file = File::yaml(body(plain), &marked).field("mac_only_encrypted", "true");
        assert_eq!(file.decrypt(), Ok(format!("a: x\nb_unencrypted: {plain}\n")));
    }
    // The marker keeps one kind of MAC from passing for the other.
    assert_eq!(File::yaml(body("good"), "x").field("mac_only_encrypted", "true").decrypt(), MISMATCH);
    assert_eq!(File::yaml(body("good"), &marked).decrypt(), MISMATCH);
    assert_eq!(File::yaml(body("evil"), "xgood").decrypt(), MISMATCH);
    assert!(File::yaml(body("good"), "xgood").decrypt().is_ok());
}

// 24
#[test]
fn mac_only_encrypted_is_read_weakly() {
    let marked = [mac_only_encrypted_marker(), b"x".to_vec()].concat();
    let body = format!("a: {}\n", string("a:", "x"));
    for (text, on) in [
        ("true", true),
        ("1", true),
        ("\"true\"", true),
        ("\"T\"", true),
        ("false", false),
        ("0", false),
        ("\"\"", false),
        ("null", false),
        ("\"F\"", false),
    ] {
        let hashed = if on { marked.as_slice() } else { b"x" };
        let file = File::yaml(&body, hashed).field("mac_only_encrypted", text);
        assert_eq!(file.decrypt().as_deref(), Ok("a: x\n"), "{text}");
    }
    let malformed = MetadataError::Field("mac_only_encrypted".to_owned(), "it is neither true nor false");
    assert_eq!(
        File::yaml(&body, "x").text_field("mac_only_encrypted", "yes").decrypt(),
        Err(Refused::Parse(ParseError::Metadata(malformed)))
    );
}

// 27
#[test]
fn lastmodified_authenticates_the_mac_with_seconds_precision() {
    for (written, authenticated) in [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05.75Z", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05+00:00", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05+02:00", "2024-01-02T03:04:05+02:00"),
        ("2024-01-02T03:04:05.1-05:30", "2024-01-02T03:04:05-05:30"),
    ] {
        let file =
            sealed("").text_field("lastmodified", written).text_field("mac", &mac_at(authenticated, "x"));
        assert!(file.decrypt().is_ok(), "{written}");
    }
    let malformed = |why| {
        let error = MetadataError::Field("lastmodified".to_owned(), why);
        Err(Refused::Parse(ParseError::Metadata(error)))
    };
    assert_eq!(sealed("x").without("lastmodified").decrypt(), malformed("it is missing"));
    assert_eq!(sealed("x").field("lastmodified", "null").decrypt(), malformed("it is missing"));
    for text in ["2024-01-02 03:04:05", "2024-01-02 03:04:05Z", "yesterday", "2024-01-02"] {
        let file = sealed("x").text_field("lastmodified", text);
        assert_eq!(file.decrypt(), malformed("it is not an RFC 3339 time"), "{text}");
    }
}

// 27
#[test]
fn an_unquoted_lastmodified_is_the_time_that_it_is() {
    // Old versions of sops and other tools write it so.
    let file = sealed("x").field("lastmodified", LAST_MODIFIED);
    assert_eq!(file.decrypt().as_deref(), Ok("a: x\n"));
    let offset = sealed("").field("lastmodified", "2024-01-02T03:04:05.50+02:00");
    let offset = offset.text_field("mac", &mac_at("2024-01-02T03:04:05+02:00", "x"));
    assert!(offset.decrypt().is_ok());
}

// 28
#[test]
fn a_plain_negative_zero_is_hashed_as_the_float_that_it_was() {
    assert_eq!(File::yaml("a_unencrypted: -0\n", "-0").decrypt().as_deref(), Ok("a_unencrypted: -0\n"));
    assert!(File::json("\"a_unencrypted\": -0", "-0").decrypt().is_ok());
}

// 5.2
#[test]
fn plain_values_are_hashed_as_what_they_mean() {
    for (text, hashed) in [
        ("true", "True"),
        ("FALSE", "False"),
        ("0x1f", "31"),
        ("1_000", "1000"),
        ("1e3", "1000"),
        ("1e21", "1000000000000000000000"),
        ("2001-01-01", "2001-01-01T00:00:00Z"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14T21:59:43.1-05:00"),
        (".nan", "NaN"),
        ("-.inf", "-Inf"),
        ("'1e3'", "1e3"),
        ("yes", "yes"),
    ] {
        assert!(File::yaml(format!("a_unencrypted: {text}\n"), hashed).decrypt().is_ok(), "{text}");
    }
    assert!(File::json("\"a_unencrypted\": [1e3, 1.0, true]", "10001True").decrypt().is_ok());
}

// 29
#[test]
fn comments_are_not_covered() {
    let comment = value("l:", "comment", " c");
    let body = format!("l:\n- {comment}\n- {}\n", string("l:", "x"));
    assert_eq!(File::yaml(&body, "x").decrypt().as_deref(), Ok("l:\n    # c\n    - x\n"));
    // What sops 3.13.2 alone would have accepted.
    assert_eq!(File::yaml(&body, " cx").decrypt(), MISMATCH);
    let body = format!("# plain\na: {}\n#{}\n", string("a:", "x"), value(":", "comment", " end"));
    assert_eq!(File::yaml(body, "x").decrypt().as_deref(), Ok("# plain\na: x\n# end\n"));
}

// 5.1
#[test]
fn several_documents_have_one_mac() {
    let (first, second) = (string("a:", "x"), string("a:", "y"));
    let with = |hashed: &str| {
        let file = File::yaml(format!("a: {first}\n"), hashed);
        super::decrypt_text(Format::Yaml, &format!("{}---\na: {second}\n", file.text()))
    };
    assert_eq!(with("xy").as_deref(), Ok("a: x\n---\na: \"y\"\n"));
    assert_eq!(with("x"), MISMATCH);
}

#[test]
fn every_format_is_verified() {
    let sealed = |format, body: String| File::new(format, body, "y").decrypt();
    assert_eq!(sealed(Format::Json, format!("\"a\": \"{}\"", string("a:", "x"))), MISMATCH);
    assert_eq!(sealed(Format::Binary, format!("\"data\": \"{}\"", string("data:", "x"))), MISMATCH);
    assert_eq!(sealed(Format::Dotenv, format!("A={}\n", string("A:", "x"))), MISMATCH);
    assert_eq!(sealed(Format::Ini, format!("[s]\nk = {}\n", string("s:k:", "x"))), MISMATCH);
}
