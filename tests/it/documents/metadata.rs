//! The metadata: where it is, and how leniently it is read.

use sops_activate::sops::data_key::StanzaKind;
use sops_activate::sops::document::ParseError;
use sops_activate::sops::flatten::FlattenError;
use sops_activate::sops::format::Format;
use sops_activate::sops::metadata::MetadataError;

use super::decrypt_text;
use crate::seal::{File, Refused, entry, mac, ours, string, wrapped};

fn sealed() -> File {
    File::yaml(format!("a: {}\n", string("a:", "x")), "x")
}

fn opens(file: &File) -> bool {
    match file.decrypt() {
        Ok(plain) => {
            assert_eq!(plain, "a: x\n");
            true
        }
        Err(_) => false,
    }
}

#[track_caller]
fn error(file: &File) -> MetadataError {
    match file.decrypt() {
        Err(Refused::Parse(ParseError::Metadata(error))) => error,
        other => panic!("{other:?}"),
    }
}

// 37
#[test]
fn the_version_does_not_matter() {
    for version in ["\"99.0.0\"", "3.7", "3", "null", "\"\"", "\"not a version\"", "true"] {
        assert!(opens(&sealed().field("version", version)), "{version}");
    }
    assert!(opens(&sealed().without("version")));
}

// 38
#[test]
fn unknown_fields_are_ignored_and_names_have_any_case() {
    let file = sealed().field("attention", "[1, {\"x\": null}]").field("future", "true");
    assert!(opens(&file));
    let file = sealed().without("mac").without("lastmodified").without("age");
    let file = file
        .text_field("MAC", &mac("x"))
        .text_field("LastModified", "2024-01-02T03:04:05Z")
        .field("Age", format!("[{}]", entry("age1test", &ours()).replace("\"enc\"", "\"ENC\"")));
    assert!(opens(&file));
    // Where both are there, the exact name counts.
    assert!(opens(&sealed().text_field("Mac", "wrong")));
}

// 38
#[test]
fn comments_in_the_metadata_are_ignored() {
    let text = sealed().text().replace("sops: {", "sops: { # c\n  ").replace("}\n", "\n  # d\n  }\n");
    assert_eq!(decrypt_text(Format::Yaml, &text).as_deref(), Ok("a: x\n"));
}

// 39
#[test]
fn absent_null_and_empty_key_lists_are_the_same() {
    for empty in ["null", "[]", "{}"] {
        let mut file = sealed();
        for list in ["kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "key_groups"] {
            file = file.field(list, empty);
        }
        assert!(opens(&file), "{empty}");
        assert_eq!(error(&file.field("age", empty)), MetadataError::NoKeys, "{empty}");
    }
    assert_eq!(error(&sealed().without("age")), MetadataError::NoKeys);
    assert_eq!(error(&sealed().without("age").field("key_groups", "[]")), MetadataError::NoKeys);
}

// 39
#[test]
fn a_single_mapping_is_a_list_of_one() {
    assert!(opens(&sealed().field("age", entry("age1test", &ours()))));
    let group = format!("{{\"age\": {}}}", entry("age1test", &ours()));
    assert!(opens(&sealed().without("age").field("key_groups", group)));
}

// 40
#[test]
fn metadata_that_is_missing_or_no_mapping_is_refused() {
    for (text, expected) in [
        ("a: x\n", MetadataError::NotFound),
        ("", MetadataError::NotFound),
        ("a: x\nSOPS: {}\n", MetadataError::NotFound),
        ("m:\n  sops: {mac: x}\n", MetadataError::NotFound),
        ("a: x\nsops: null\n", MetadataError::NotAMapping),
        ("a: x\nsops: text\n", MetadataError::NotAMapping),
        ("a: x\nsops: [1]\n", MetadataError::NotAMapping),
    ] {
        assert_eq!(decrypt_text(Format::Yaml, text), Err(Refused::Parse(expected.into())), "{text}");
    }
    let missing = MetadataError::Field("lastmodified".to_owned(), "it is missing");
    assert_eq!(decrypt_text(Format::Yaml, "a: x\nsops: {}\n"), Err(Refused::Parse(missing.into())));
    for (format, text, expected) in [
        (Format::Json, "{}", MetadataError::NotFound),
        (Format::Json, "{\"sops\": {}}", MetadataError::NotFound),
        (Format::Json, "{\"sops\": null}", MetadataError::NotAMapping),
        (Format::Json, "{\"sops\": \"x\"}", MetadataError::NotAMapping),
        (Format::Binary, "{\"data\": \"x\"}", MetadataError::NotFound),
        (Format::Dotenv, "", MetadataError::NotFound),
        (Format::Dotenv, "SOPS_mac=x\n", MetadataError::NotFound),
        (Format::Ini, "", MetadataError::NotFound),
        (Format::Ini, "[SOPS]\nmac = x\n", MetadataError::NotFound),
        (Format::Ini, "[sops]\nmac = x\n[sops]\nmac = x\n", MetadataError::Duplicate),
    ] {
        assert_eq!(decrypt_text(format, text), Err(Refused::Parse(expected.into())), "{text}");
    }
}

// 40
#[test]
fn metadata_may_stand_anywhere_at_the_top_and_nowhere_else() {
    let value = string("a:", "x");
    let first = format!("sops: {}\na: {value}\n", sealed().metadata());
    assert_eq!(decrypt_text(Format::Yaml, &first).as_deref(), Ok("a: x\n"));
    let nested = File::yaml(format!("m:\n  sops:\n    k: {}\n", string("m:sops:k:", "x")), "x");
    assert_eq!(nested.decrypt().as_deref(), Ok("m:\n    sops:\n        k: x\n"));
    let json = format!("{{\"sops\": {}, \"a\": \"{value}\"}}", sealed().metadata());
    assert_eq!(decrypt_text(Format::Json, &json).as_deref(), Ok("{\n\t\"a\": \"x\"\n}\n"));
}

// 1.1
#[test]
fn the_metadata_of_later_documents_is_dropped_unread() {
    let text = format!("{}---\nb: {}\nsops: nonsense\n", sealed().text(), string("b:", "y"));
    let resealed = text.replace(&mac("x"), &mac("xy"));
    assert_eq!(decrypt_text(Format::Yaml, &resealed).as_deref(), Ok("a: x\n---\nb: \"y\"\n"));
}

// 41
#[test]
fn fields_that_decryption_does_not_need_may_be_missing_or_malformed() {
    let pgp = r#"[{"fp": "AAAA", "enc": "x"}]"#;
    assert!(opens(&sealed().field("pgp", pgp)));
    let pgp = r#"[{"fp": "AAAA", "enc": "x", "created_at": "yesterday"}]"#;
    assert!(opens(&sealed().field("pgp", pgp)));
    for key_id in ["no colon", "", ":", "a:b:c"] {
        let hckms =
            format!(r#"[{{"key_id": "{key_id}", "created_at": "2024-01-02T03:04:05Z", "enc": "x"}}]"#);
        assert!(opens(&sealed().field("hckms", hckms)), "{key_id}");
    }
}

// 42
#[test]
fn the_threshold_may_be_a_number_or_text_and_must_be_whole() {
    for (text, expected) in [
        ("2", 2),
        ("\"2\"", 2),
        ("2.0", 2),
        ("\"2.000000\"", 2),
        ("\"0x2\"", 2),
        ("null", 0),
        ("0", 0),
        ("\"\"", 0),
    ] {
        let document = sealed().field("shamir_threshold", text).parse().ok().unwrap();
        assert_eq!(document.metadata().threshold, expected, "{text}");
    }
    for text in ["\"two\"", "2.5", "\"-1\"", "-1", "[2]", "\"1e1\""] {
        assert!(
            matches!(error(&sealed().field("shamir_threshold", text)), MetadataError::Field(name, _) if name == "shamir_threshold"),
            "{text}"
        );
    }
    let ini = File::new(Format::Ini, format!("[s]\nk = {}\n", string("s:k:", "x")), "x");
    let document = ini.field("shamir_threshold", "2.000000").parse().ok().unwrap();
    assert_eq!(document.metadata().threshold, 2);
}

// 43
#[test]
fn a_list_at_the_top_hides_the_key_groups() {
    let file =
        sealed().field("key_groups", format!("[{{\"age\": [{}]}}]", entry("other", &wrapped(b"wrong"))));
    let document = file.parse().ok().unwrap();
    let groups: Vec<Vec<&str>> = document
        .metadata()
        .groups
        .iter()
        .map(|group| group.iter().map(|stanza| stanza.recipient.as_str()).collect())
        .collect();
    assert_eq!(groups, [["age1test"]]);
    assert!(opens(&file));
}

// 44
#[test]
fn every_kind_of_entry_names_its_recipient() {
    let file = sealed()
        .field("kms", r#"[{"arn": "arn:aws:kms:eu-west-1:1:key/k", "enc": "1"}]"#)
        .field("gcp_kms", r#"[{"resource_id": "projects/p", "enc": "2"}]"#)
        .field("hckms", r#"[{"key_id": "region:uuid", "enc": "3"}]"#)
        .field("azure_kv", r#"[{"vault_url": "https://v", "name": "n", "version": "v1", "enc": "4"}]"#)
        .field(
            "hc_vault",
            r#"[{"vault_address": "https://h", "engine_path": "e", "key_name": "k", "enc": "5"}]"#,
        )
        .field("pgp", r#"[{"fp": "ABCD!", "enc": "6"}]"#);
    let document = file.parse().ok().unwrap();
    let stanzas: Vec<(StanzaKind, &str, &str)> = document.metadata().groups[0]
        .iter()
        .map(|stanza| (stanza.kind, stanza.recipient.as_str(), stanza.enc.as_str()))
        .collect();
    assert_eq!(
        stanzas,
        [
            (StanzaKind::Kms, "arn:aws:kms:eu-west-1:1:key/k", "1"),
            (StanzaKind::GcpKms, "projects/p", "2"),
            (StanzaKind::Hckms, "region:uuid", "3"),
            (StanzaKind::AzureKv, "https://v/n/v1", "4"),
            (StanzaKind::HcVault, "https://h/e/k", "5"),
            (StanzaKind::Pgp, "ABCD!", "6"),
            (StanzaKind::Age, "age1test", ours().as_str()),
        ]
    );
    assert!(opens(&file));
}

#[test]
fn a_field_of_the_wrong_shape_is_named_and_its_content_is_not() {
    for (field, text) in [
        ("mac", "[\"MARKER\"]"),
        ("lastmodified", "{\"MARKER\": 1}"),
        ("lastmodified", "\"MARKER\""),
        ("age", "\"MARKER\""),
        ("age", "[{\"enc\": [\"MARKER\"]}]"),
        ("unencrypted_suffix", "[\"MARKER\"]"),
        ("mac_only_encrypted", "\"MARKER\""),
        ("shamir_threshold", "\"MARKER\""),
    ] {
        let error = error(&sealed().field(field, text));
        assert!(matches!(&error, MetadataError::Field(_, _)), "{field}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{field}");
    }
    let groups = sealed().without("age").field("key_groups", "\"MARKER\"");
    assert_eq!(error(&groups), MetadataError::Field("key_groups".to_owned(), "it is not a list"));
}

// 1.5
#[test]
fn flattened_metadata_is_read_in_any_order_and_with_any_index() {
    let env = File::new(Format::Dotenv, format!("A={}\n", string("A:", "x")), "x");
    assert_eq!(env.decrypt().as_deref(), Ok("A=x\n"));
    let reversed = env.text().lines().rev().collect::<Vec<_>>().join("\n");
    assert_eq!(decrypt_text(Format::Dotenv, &reversed).as_deref(), Ok("A=x\n"));
    let hole = env.text().replace("list_0", "list_7");
    assert_eq!(decrypt_text(Format::Dotenv, &hole).as_deref(), Ok("A=x\n"));
}

// 1.5
#[test]
fn a_flattened_name_that_is_two_things_is_refused() {
    for extra in ["sops_age=x\n", "sops_mac__map_x=y\n", "sops_version__list_0=1\n"] {
        let env = File::new(Format::Dotenv, format!("A={}\n", string("A:", "x")), "x").text() + extra;
        let refused = decrypt_text(Format::Dotenv, &env).unwrap_err();
        assert!(
            matches!(refused, Refused::Parse(ParseError::Flatten(FlattenError::TypeMismatch { .. }))),
            "{extra}: {refused:?}"
        );
    }
}

// 1.5
#[test]
fn every_variable_that_begins_with_sops_is_metadata() {
    let env = File::new(
        Format::Dotenv,
        format!("A={}\nsops_unknown=1\nSOPS_x={}\n", string("A:", "x"), string("SOPS_x:", "y")),
        "xy",
    );
    assert_eq!(env.decrypt().as_deref(), Ok("A=x\nSOPS_x=y\n"));
}
