//! The vectors that must not open: why, where, and how the file would be if that one defect were undone.

use std::fs;

use sops_activate::sops::cipher::ValueError;
use sops_activate::sops::data_key::{GroupOutcome, RecoverError, Refusal, StanzaKind};
use sops_activate::sops::document::OpenError;
use sops_activate::sops::format::{EmitError, Format};
use sops_activate::sops::metadata::MetadataError;

use super::directory;
use crate::seal;
use Cure::{Keys, Replace, Rewrite};
use Why::{Emit, Metadata, Open, Recover, Syntax, Value};

/// A vector that must not open.
pub struct Bad {
    pub name: &'static str,
    pub why: Why,
    /// Undoes the defect and nothing else.
    pub cure: Cure,
    /// What the cured file opens to.
    pub opens_to: &'static str,
}

pub enum Why {
    /// Line, column, and words of the message.
    Syntax(u32, u32, &'static str),
    Metadata(MetadataError),
    /// The path of the value, and the line and column of its key.
    Value(&'static str, u32, u32, ValueError),
    Open(OpenError),
    Emit(EmitError),
    Recover(RecoverError),
}

pub enum Cure {
    /// A text that the file holds once, and what replaces it.
    Replace(&'static str, &'static str),
    Rewrite(fn(&str) -> String),
    /// It was read as another format than it is.
    Format(Format),
    /// Keys were missing.
    Keys(&'static str),
}

pub fn all() -> Vec<Bad> {
    [data_key(), values(), mac(), metadata(), yaml(), json(), flat()].into_iter().flatten().collect()
}

/// Vectors whose data key cannot be recovered.
fn data_key() -> Vec<Bad> {
    let refused = |stanzas: &[(&str, Refusal)]| {
        let refusals =
            stanzas.iter().map(|(recipient, why)| (StanzaKind::Age, (*recipient).to_owned(), why.clone()));
        GroupOutcome { opened: false, refusals: refusals.collect() }
    };
    vec![
        bad(
            "yaml-shamir-2of3-one-key",
            Recover(RecoverError::TooFewGroups {
                needed: 2,
                opened: 1,
                groups: vec![
                    GroupOutcome { opened: true, refusals: Vec::new() },
                    refused(&[(SECOND_GROUP, Refusal::NotOurs)]),
                    refused(&[(THIRD_GROUP, Refusal::NotOurs)]),
                ],
            }),
            Keys("age-keys-1+2.txt"),
            "a: s\n",
        ),
        bad(
            "c-enc-not-armored",
            Recover(RecoverError::TooFewGroups {
                needed: 1,
                opened: 0,
                groups: vec![refused(&[(RECIPIENT, Refusal::Broken("it is not ASCII armored".to_owned()))])],
            }),
            Rewrite(|text| replace(text, "hello\n", &between(&ok("yaml"), "enc: ", "    lastmodified"))),
            "a: x\n",
        ),
        bad(
            "c-no-keys",
            Metadata(MetadataError::NoKeys),
            Rewrite(|text| {
                replace(
                    text,
                    "    age: []\n",
                    &("    age:".to_owned() + &between(&ok("yaml"), "    age:", "    lastmodified")),
                )
            }),
            "a: x\n",
        ),
    ]
}

/// Vectors with a value that does not open.
fn values() -> Vec<Bad> {
    let data = || ValueError::Base64("data");
    vec![
        bad("c-b64-nopad", Value("a", 1, 1, data()), Replace("data:uQ,", "data:uQ==,"), "a: x\n"),
        bad("c-b64-bad", Value("a", 1, 1, data()), Replace("data:!!==,", "data:uQ==,"), "a: x\n"),
        bad(
            "c-tag-flipped",
            Value("a", 1, 1, ValueError::Authentication),
            Replace("tag:AYE6", "tag:yYE6"),
            "a: x\n",
        ),
        bad(
            "c-wrong-aad",
            Value("b", 1, 1, ValueError::Authentication),
            Replace("b: ENC", "a: ENC"),
            "a: x\n",
        ),
        bad(
            "c-swapped-values",
            Value("a", 1, 1, ValueError::Authentication),
            Rewrite(|text| {
                let named = replace(text, "a: ENC", "x: ENC");
                replace(&replace(&named, "b: ENC", "a: ENC"), "x: ENC", "b: ENC")
            }),
            "b: \"2\"\na: \"1\"\n",
        ),
        bad(
            "c-unknown-type",
            Value("a", 1, 1, ValueError::UnknownType),
            Replace("type:foo", "type:str"),
            "a: x\n",
        ),
        bad(
            "c-int-overflow",
            Value("a", 1, 1, ValueError::Plaintext("an integer of 64 bits")),
            Rewrite(|text| {
                let value = between(text, "a: ", "\n");
                replace(text, &value, &seal::value("a:", "int", "1"))
            }),
            "a: 1\n",
        ),
        bad(
            "c-plain-in-encrypted",
            Value("a", 1, 1, ValueError::NotEncrypted),
            Replace("a: hello", "a_unencrypted: hello"),
            "a_unencrypted: hello\n",
        ),
        bad(
            "c-int-in-encrypted",
            Value("a", 1, 1, ValueError::NotString("an integer")),
            Replace("a: 5", "a_unencrypted: 5"),
            "a_unencrypted: 5\n",
        ),
        bad(
            "c-uint64",
            Value("a_unencrypted", 1, 1, ValueError::Unsigned),
            Replace("18446744073709551615", "\"18446744073709551615\""),
            "a_unencrypted: \"18446744073709551615\"\n",
        ),
        bad(
            "j-int-in-encrypted",
            Value("a", 1, 2, ValueError::NotString("an integer")),
            Replace("\"a\":1", "\"a_unencrypted\":1"),
            "{\n\t\"a_unencrypted\": 1\n}\n",
        ),
    ]
}

/// Vectors whose MAC is missing or wrong.
fn mac() -> Vec<Bad> {
    vec![
        bad("c-mac-lowercase", Open(OpenError::MacMismatch), Rewrite(reseal), "a: x\n"),
        bad("c-mac-wrong", Open(OpenError::MacMismatch), Rewrite(reseal), "a: x\n"),
        bad("c-mac-missing", Open(OpenError::MacMissing), Replace("nomac:", "mac:"), "a: x\n"),
        bad("c-mac-empty", Open(OpenError::MacMissing), Rewrite(reseal), "a: x\n"),
        bad(
            "c-mac-other-lastmodified",
            Open(OpenError::Mac(ValueError::Authentication)),
            Replace("2024-01-02T03:04:05Z", "2020-01-01T00:00:00Z"),
            "a: x\n",
        ),
        bad(
            "c-unencrypted-tampered",
            Open(OpenError::MacMismatch),
            Replace("evil", "good"),
            "a: x\nb_unencrypted: good\n",
        ),
    ]
}

/// Vectors whose metadata cannot be used.
fn metadata() -> Vec<Bad> {
    vec![
        bad(
            "c-two-rules",
            Metadata(MetadataError::TwoRules("unencrypted_suffix", "encrypted_regex")),
            Replace("    encrypted_regex: a\n", ""),
            "a: x\n",
        ),
        bad(
            "c-no-sops",
            Metadata(MetadataError::NotFound),
            Rewrite(|text| text.to_owned() + &block("yaml", "x")),
            "a: x\n",
        ),
        bad(
            "c-sops-scalar",
            Metadata(MetadataError::NotAMapping),
            Rewrite(|text| replace(text, "sops: 1\n", &block("yaml", "x"))),
            "a: x\n",
        ),
        bad(
            "c-empty-file",
            Metadata(MetadataError::NotFound),
            Rewrite(|text| text.to_owned() + &ok("yaml")),
            "a: x\n",
        ),
        bad("j-dup-sops", Metadata(MetadataError::Duplicate), Replace("\"sops\":{}, ", ""), "{}\n"),
        bad(
            "e-no-metadata",
            Metadata(MetadataError::NotFound),
            Rewrite(|text| {
                text.to_owned() + &replace(&block("dotenv", "b"), "suffix=_unencrypted", "suffix=A")
            }),
            "A=b\n",
        ),
        bad(
            "e-quoted-meta",
            Metadata(MetadataError::Field("lastmodified".to_owned(), "it is not an RFC 3339 time")),
            Replace("'2024-01-02T03:04:05Z'", "2024-01-02T03:04:05Z"),
            "A=x\n",
        ),
        bad(
            "i-no-sops",
            Metadata(MetadataError::NotFound),
            Rewrite(|text| {
                text.to_owned() + &replace(&block("ini", "v"), "suffix = _unencrypted", "suffix = k")
            }),
            "[s]\nk = v\n",
        ),
    ]
}

/// Vectors that are no YAML document.
fn yaml() -> Vec<Bad> {
    vec![
        bad(
            "c-comment-only",
            Syntax(1, 1, "no document"),
            Rewrite(|text| text.to_owned() + &ok("yaml")),
            "# nothing\na: x\n",
        ),
        bad(
            "c-root-list",
            Syntax(1, 1, "not a mapping"),
            Rewrite(|text| format!("l_unencrypted:\n{text}{}", block("yaml", "a"))),
            "l_unencrypted:\n    - a\n",
        ),
        bad("c-int-key", Syntax(1, 1, "keys must be strings"), Replace("1: ENC", "\"1\": ENC"), "\"1\": x\n"),
        bad(
            "c-dup-key",
            Syntax(2, 1, "already defined at line 1"),
            // The elements of a list have the path of the list, so both values open there.
            Rewrite(|text| format!("a:\n{}", text.replace("a: ENC", "- ENC"))),
            "a:\n    - x\n    - x\n",
        ),
    ]
}

/// JSON and binary vectors that cannot be read or printed.
fn json() -> Vec<Bad> {
    vec![
        bad(
            "j-trailing-garbage",
            Syntax(1, 1005, "more after the closing brace"),
            Rewrite(|text| text.get(..1003).unwrap().to_owned()),
            "{\n\t\"a\": \"x\"\n}\n",
        ),
        bad(
            "j-truncated",
            Syntax(1, 1003, "ends too early"),
            Rewrite(|text| format!("{text}}}")),
            "{\n\t\"a\": \"x\"\n}\n",
        ),
        bad(
            "j-array-root",
            Syntax(1, 1, "the top level is not an object"),
            Rewrite(|text| format!("{{\"l_unencrypted\":{text},{}", block("json", "1"))),
            "{\n\t\"l_unencrypted\": [\n\t\t1\n\t]\n}\n",
        ),
        bad("j-bom", Syntax(1, 1, "byte-order mark"), Replace("\u{feff}", ""), "{\n\t\"a\": \"x\"\n}\n"),
        bad(
            "j-nan",
            Emit(EmitError::NotRepresentable {
                key: "a".to_owned(),
                kind: "a float that is not finite",
                format: "JSON",
            }),
            Replace("type:float", "type:str"),
            "{\n\t\"a\": \"NaN\"\n}\n",
        ),
        bad(
            "j-binary-no-data",
            Emit(EmitError::NoBinaryData),
            Rewrite(|text| {
                let value = between(text, "\"a\":", ", \"sops\"");
                replace(
                    text,
                    &format!("\"a\":{value}"),
                    &format!("\"data\":\"{}\"", seal::string("data:", "x")),
                )
            }),
            "x",
        ),
        bad("j-binary-int", Emit(EmitError::BinaryDataNotString), Replace("type:int", "type:str"), "5"),
        bad("j-binary-wrong-format", Syntax(1, 1, "not JSON"), Cure::Format(Format::Yaml), "data: x\n"),
    ]
}

/// Vectors that are no dotenv or INI file.
fn flat() -> Vec<Bad> {
    vec![
        bad("e-bad-line", Syntax(8, 1, "no '='"), Replace("oops\n", ""), "A=x\n"),
        bad(
            "i-unclosed",
            Syntax(1, 1, "not closed by ']'"),
            Rewrite(|text| {
                let block = replace(&block("ini", "v"), "suffix = _unencrypted", "suffix = k");
                replace(text, "[s\n", "[s]\n") + &block
            }),
            "[s]\nk = v\n",
        ),
    ]
}

fn bad(name: &'static str, why: Why, cure: Cure, opens_to: &'static str) -> Bad {
    Bad { name, why, cure, opens_to }
}

const RECIPIENT: &str = "age1u0mseqwxlra75amsz9e7k0cn2zcgwucctk78vanyjsna3wagg4rq6rnnmm";
const SECOND_GROUP: &str = "age1ng7pe2qkhdrhwhlxhzd38t5yzkhjdaryadqs6u0pxphlc7tg039qy9cpgl";
const THIRD_GROUP: &str = "age1j5d2ftkpm08avgljfhxtxpx6cl9gxjly7rz8g4gmgh72p07kk46srcx32a";

/// The file `c-ok`, `j-ok`, `e-ok` or `i-ok`.
fn ok(format: &str) -> String {
    let file = match format {
        "yaml" => "c-ok.enc.yaml",
        "json" => "j-ok.enc.json",
        "dotenv" => "e-ok.enc.env",
        _ => "i-ok.enc.ini",
    };
    fs::read_to_string(directory().join(file)).unwrap()
}

/// The metadata of that file, with a MAC over `hashed`.
fn block(format: &str, hashed: &str) -> String {
    let ok = ok(format);
    let start = match format {
        "yaml" => "sops:\n",
        "json" => " \"sops\":",
        "dotenv" => "sops_age",
        _ => "[sops]\n",
    };
    let block = ok.get(ok.find(start).unwrap()..).unwrap();
    with_mac(block, &seal::mac(hashed))
}

/// The same file with a MAC that fits its only value, `x`.
fn reseal(text: &str) -> String {
    with_mac(text, &seal::mac("x"))
}

/// `text` with the MAC in its metadata replaced, which is `""` or `ENC[…]`.
fn with_mac(text: &str, mac: &str) -> String {
    let (before, after) = text.split_once("mac").unwrap();
    if after.starts_with(": \"\"") {
        return replace(text, "mac: \"\"", &format!("mac: {mac}"));
    }
    let old = format!("ENC{}]", between(after, "ENC", "]"));
    format!("{before}mac{}", replace(after, &old, mac))
}

/// `text` with its only `from` replaced.
pub fn replace(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "'{from}' does not stand in the text once");
    text.replacen(from, to, 1)
}

/// What lies between the first `start` and the next `end`.
fn between(text: &str, start: &str, end: &str) -> String {
    let (_, after) = text.split_once(start).unwrap();
    after.split_once(end).unwrap().0.to_owned()
}
