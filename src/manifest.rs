//! The manifest as the NixOS module writes it: field for field the JSON of sops-install-secrets.
//!
//! Unknown fields are ignored (the module writes whole option sets), and `null` is the same as absent. What the fields
//! mean, and whether they make sense, is [`crate::plan`]'s business.

use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Report};

#[derive(Debug, Default, PartialEq)]
pub struct Manifest {
    pub secrets: Vec<Secret>,
    pub templates: Vec<Template>,
    /// Placeholder text by the name of the secret that it stands for, in the manifest's order.
    pub placeholders: Vec<(String, String)>,
    pub settings: Settings,
}

/// Everything that is said once.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    #[serde(deserialize_with = "null_as_default")]
    pub secrets_mount_point: String,
    #[serde(deserialize_with = "null_as_default")]
    pub symlink_path: String,
    #[serde(deserialize_with = "null_as_default")]
    pub keep_generations: i64,
    #[serde(deserialize_with = "null_as_default")]
    pub ssh_key_paths: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub gnupg_home: String,
    #[serde(deserialize_with = "null_as_default")]
    pub age_key_file: String,
    #[serde(deserialize_with = "null_as_default")]
    pub age_ssh_key_paths: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub use_tmpfs: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub user_mode: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub logging: Logging,
    /// Ours: the public keys of the host, so that the build can tell which files it will open.
    #[serde(deserialize_with = "null_as_default")]
    pub host_recipients: Vec<String>,
    /// Ours: the name of the host, for messages of the build.
    #[serde(deserialize_with = "null_as_default")]
    pub host_name: String,
    /// Ours: what one failing secret means for the others.
    #[serde(deserialize_with = "null_as_default")]
    pub on_failure: String,
    /// Ours: neither keys nor sops files are read; every secret gets a value that says that it is none.
    #[serde(deserialize_with = "null_as_default")]
    pub dummy_secrets: bool,
    /// Ours: every user and group that the machine will have, if the configuration declares them all.
    #[serde(deserialize_with = "null_as_default")]
    pub accounts: KnownAccounts,
}

/// Names of accounts; `None` where they are not all known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KnownAccounts {
    pub users: Option<Vec<String>>,
    pub groups: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Logging {
    #[serde(deserialize_with = "null_as_default")]
    pub key_import: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub secret_changes: bool,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Secret {
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub key: String,
    #[serde(deserialize_with = "null_as_default")]
    pub sops_file: String,
    #[serde(deserialize_with = "null_as_default")]
    pub format: String,
    /// Ours: which value of a dotenv or INI file; the original ignores `key` for those.
    #[serde(deserialize_with = "null_as_default")]
    pub extract_key: String,
    /// Ours: the newline at the end of the value is left away.
    #[serde(deserialize_with = "null_as_default")]
    pub trim_trailing_newline: bool,
    #[serde(flatten)]
    pub place: Placement,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Template {
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub content: String,
    #[serde(deserialize_with = "null_as_default")]
    pub file: String,
    /// Ours: the newline at the end of each inserted secret is left away.
    #[serde(deserialize_with = "null_as_default")]
    pub trim_trailing_newline: bool,
    /// Ours: `{{ sops "name" }}` stands for a secret, too.
    #[serde(deserialize_with = "null_as_default")]
    pub named_markers: bool,
    #[serde(flatten)]
    pub place: Placement,
}

/// What secrets and templates have in common: where the file goes, for whom, and who wants to know.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Placement {
    #[serde(deserialize_with = "null_as_default")]
    pub path: String,
    pub owner: Option<String>,
    pub group: Option<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub uid: i64,
    #[serde(deserialize_with = "null_as_default")]
    pub gid: i64,
    #[serde(deserialize_with = "null_as_default")]
    pub mode: String,
    /// Ours: `copy` for a real file at `path`, in place of a link.
    #[serde(deserialize_with = "null_as_default")]
    pub install_mode: String,
    #[serde(deserialize_with = "null_as_default")]
    pub restart_units: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub reload_units: Vec<String>,
    /// Ours: units of users' service managers.
    #[serde(deserialize_with = "null_as_default")]
    pub restart_user_units: Vec<String>,
}

/// The lists, each element still text, so that one bad secret does not hide the problems of the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lists<'a> {
    #[serde(borrow, default)]
    secrets: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    templates: Option<Vec<&'a RawValue>>,
    #[serde(default, deserialize_with = "pairs")]
    placeholder_by_secret_name: Vec<(String, String)>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// With every secret and template that is not of the right shape, or the one place where it is not JSON.
    pub fn parse(text: &[u8]) -> Result<Self, Report> {
        let malformed = |error: serde_json::Error| malformed(text, &error);
        // A list would do for serde, field after field.
        if text.trim_ascii_start().first() == Some(&b'[') {
            return Err(Diagnostic::new("it is a JSON list, not an object").into());
        }
        let lists: Lists = serde_json::from_slice(text).map_err(malformed)?;
        let settings = serde_json::from_slice(text).map_err(malformed)?;
        let mut report = Report::default();
        let secrets = elements("secret", lists.secrets.as_deref().unwrap_or_default(), &mut report);
        let templates = elements("template", lists.templates.as_deref().unwrap_or_default(), &mut report);
        report.or(Self { secrets, templates, placeholders: lists.placeholder_by_secret_name, settings })
    }
}

fn elements<T: for<'de> Deserialize<'de>>(noun: &str, raw: &[&RawValue], report: &mut Report) -> Vec<T> {
    let mut elements = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        match serde_json::from_str(raw.get()) {
            Ok(element) => elements.push(element),
            Err(_) => {
                let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
                let title = match value.get("name").and_then(Value::as_str) {
                    Some(name) => format!("{noun} '{name}'"),
                    None => format!("{noun} number {}", index + 1),
                };
                let problems = wrong_fields(&value);
                if problems.is_empty() {
                    let wanted = if value.is_object() { "is malformed" } else { "is not an object" };
                    report.push(Diagnostic::new(format!("{title}: it {wanted}")));
                }
                for problem in problems {
                    report.push(Diagnostic::new(format!("{title}: {problem}")));
                }
            }
        }
    }
    elements
}

/// What a field of any part of the manifest has to be.
const TEXTS: [&str; 18] = [
    "name",
    "key",
    "extractKey",
    "sopsFile",
    "format",
    "content",
    "file",
    "path",
    "owner",
    "group",
    "mode",
    "installMode",
    "secretsMountPoint",
    "symlinkPath",
    "gnupgHome",
    "ageKeyFile",
    "onFailure",
    "hostName",
];
const NUMBERS: [&str; 3] = ["uid", "gid", "keepGenerations"];
const SWITCHES: [&str; 7] = [
    "useTmpfs",
    "userMode",
    "keyImport",
    "secretChanges",
    "trimTrailingNewline",
    "namedMarkers",
    "dummySecrets",
];
const LISTS_OF_TEXTS: [&str; 8] = [
    "restartUnits",
    "reloadUnits",
    "restartUserUnits",
    "sshKeyPaths",
    "ageSshKeyPaths",
    "hostRecipients",
    "users",
    "groups",
];
const LISTS: [&str; 2] = ["secrets", "templates"];

/// The fields of an object that are not what they have to be, without their values.
fn wrong_fields(object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let is_text = |value: &Value| value.is_string();
    for (name, value) in object.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let is = |names: &[&str]| names.contains(&name.as_str());
        let (good, wanted) = if is(&TEXTS) {
            (value.is_string(), "a string")
        } else if is(&NUMBERS) {
            (value.is_i64(), "a whole number")
        } else if is(&SWITCHES) {
            (value.is_boolean(), "true or false")
        } else if is(&LISTS_OF_TEXTS) {
            let texts = value.as_array().is_some_and(|items| items.iter().all(is_text));
            if value.is_array() && !texts {
                problems.push(format!("'{name}' is a list with other things than strings in it"));
                continue;
            }
            (texts, "a list of strings")
        } else if is(&LISTS) {
            (value.is_array(), "a list")
        } else if name == "placeholderBySecretName" {
            let texts =
                |map: &Map<String, Value>| map.values().all(|value| value.is_string() || value.is_null());
            (value.as_object().is_some_and(texts), "an object of strings")
        } else if is(&["logging", "accounts"]) {
            problems.extend(wrong_fields(value));
            (value.is_object(), "an object")
        } else {
            continue;
        };
        if !good {
            problems.push(format!("'{name}' is {}, not {wanted}", kind(value)));
        }
    }
    problems
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_i64() => "a number",
        Value::Number(_) => "a number out of range or with a fraction",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Why the manifest as a whole cannot be read: its own fields, or the place where it is not JSON. The words of
/// `serde_json` about types quote the text, so they are not used.
fn malformed(text: &[u8], error: &serde_json::Error) -> Report {
    let place = format!("line {}, column {}", error.line(), error.column());
    let problems = match error.classify() {
        Category::Data => wrong_fields(&serde_json::from_slice(text).unwrap_or_default()),
        Category::Eof if text.trim_ascii().is_empty() => vec!["it is empty".to_owned()],
        Category::Eof => vec![format!("{place}: it is not JSON: it ends too early")],
        Category::Syntax | Category::Io => {
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            vec![format!("{place}: it is not JSON: {words}")]
        }
    };
    if problems.is_empty() {
        return Diagnostic::new(format!("{place}: a value is not of the right kind")).into();
    }
    Report(problems.into_iter().map(Diagnostic::new).collect())
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A JSON object as pairs: duplicates are to be seen, not merged.
fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    struct Pairs;
    impl<'de> serde::de::Visitor<'de> for Pairs {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some((name, text)) = map.next_entry::<String, Option<String>>()? {
                pairs.push((name, text.unwrap_or_default()));
            }
            Ok(pairs)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }
    }
    deserializer.deserialize_any(Pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_ignored_and_null_is_absent() {
        let manifest = Manifest::parse(
            br#"{"secrets": [{"name": "a", "owner": null, "uid": null, "restartUnits": null, "neededForUsers": true,
                "sopsFileHash": "x"}], "templates": null, "placeholderBySecretName": null, "gnupgHome": null,
                "logging": null, "ageSshKeyPaths": null, "somethingNew": {}}"#,
        )
        .unwrap();
        let secret = Secret { name: "a".to_owned(), ..Secret::default() };
        assert_eq!(manifest, Manifest { secrets: vec![secret], ..Manifest::default() });
    }

    #[test]
    fn every_malformed_secret_is_reported_with_its_name() {
        let report = Manifest::parse(
            br#"{"secrets": [{"name": "a", "mode": 400}, {"name": "b"}, {"name": 1}], "templates": [{"name": "t", "uid": "x"}]}"#,
        )
        .unwrap_err();
        let problems: Vec<String> = report.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "secret 'a': 'mode' is a number, not a string",
                "secret number 3: 'name' is a number, not a string",
                "template 't': 'uid' is a string, not a whole number",
            ]
        );
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        let report = Manifest::parse(b"{\n\"secrets\": [}").unwrap_err();
        assert_eq!(report.0[0].problem, "line 2, column 13: it is not JSON: expected value");
    }

    #[test]
    fn every_field_of_the_wrong_kind_is_named_and_its_value_is_not() {
        let report = Manifest::parse(
            br#"{"secrets": {}, "keepGenerations": 1.5, "userMode": "SECRET", "ageSshKeyPaths": [7], "logging": {"keyImport": 1}}"#,
        );
        let mut problems: Vec<String> = report.unwrap_err().0.iter().map(ToString::to_string).collect();
        problems.sort();
        assert_eq!(
            problems,
            [
                "'ageSshKeyPaths' is a list with other things than strings in it",
                "'keepGenerations' is a number out of range or with a fraction, not a whole number",
                "'keyImport' is a number, not true or false",
                "'secrets' is an object, not a list",
                "'userMode' is a string, not true or false",
            ]
        );
    }

    #[test]
    fn a_list_of_accounts_that_is_absent_is_no_empty_one() {
        let accounts = |text: &str| Manifest::parse(text.as_bytes()).unwrap().settings.accounts;
        assert_eq!(accounts("{}"), KnownAccounts::default());
        assert_eq!(accounts(r#"{"accounts": null}"#), KnownAccounts::default());
        let found = accounts(r#"{"accounts": {"users": ["alice"], "groups": null, "hosts": 1}}"#);
        assert_eq!(found, KnownAccounts { users: Some(vec!["alice".to_owned()]), groups: None });
        let wrong = Manifest::parse(br#"{"accounts": {"users": [7], "groups": "SECRET"}}"#).unwrap_err();
        let problems: Vec<String> = wrong.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "'groups' is a string, not a list of strings",
                "'users' is a list with other things than strings in it"
            ]
        );
    }

    #[test]
    fn a_list_is_no_manifest() {
        assert_eq!(Manifest::parse(b" []").unwrap_err().0[0].problem, "it is a JSON list, not an object");
    }
}
