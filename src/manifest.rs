//! The manifest as the NixOS module writes it: field for field the JSON of sops-install-secrets.
//!
//! Unknown fields are ignored (the module writes whole option sets), and `null` is the same as absent. What the fields
//! mean, and whether they make sense, is [`crate::plan`]'s business.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

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
    #[serde(deserialize_with = "null_as_default")]
    pub restart_units: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub reload_units: Vec<String>,
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
        let malformed = |error: &serde_json::Error| {
            Report::from(Diagnostic::new(format!("the manifest is not valid: {error}")))
        };
        let lists: Lists = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
        let settings = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
        let mut report = Report::default();
        let secrets = elements("secrets", lists.secrets.as_deref().unwrap_or_default(), &mut report);
        let templates = elements("templates", lists.templates.as_deref().unwrap_or_default(), &mut report);
        report.or(Self { secrets, templates, placeholders: lists.placeholder_by_secret_name, settings })
    }
}

fn elements<T: for<'de> Deserialize<'de>>(list: &str, raw: &[&RawValue], report: &mut Report) -> Vec<T> {
    let mut elements = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        match serde_json::from_str(raw.get()) {
            Ok(element) => elements.push(element),
            Err(error) => {
                // The element alone has no useful lines; its name says which it is.
                #[derive(Deserialize)]
                struct Named {
                    name: String,
                }
                let name = match serde_json::from_str(raw.get()) {
                    Ok(Named { name }) => format!("{list}.\"{name}\""),
                    Err(_) => format!("{list}[{index}]"),
                };
                let error = error.to_string();
                let problem = error.split(" at line ").next().unwrap_or_default();
                report.push(Diagnostic::new(format!("the manifest is not valid: {name}: {problem}")));
            }
        }
    }
    elements
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
                r#"the manifest is not valid: secrets."a": invalid type: integer `400`, expected a string"#,
                "the manifest is not valid: secrets[2]: invalid type: integer `1`, expected a string",
                r#"the manifest is not valid: templates."t": invalid type: string "x", expected i64"#,
            ]
        );
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        let report = Manifest::parse(b"{\n\"secrets\": [}").unwrap_err();
        assert!(report.0[0].problem.ends_with("line 2 column 13"), "{report:?}");
    }
}
