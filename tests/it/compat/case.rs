//! Cases: what there is before, and what is asked for.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::machine::repository;

/// A machine and its activations.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    /// What is special, where the name does not say it.
    #[serde(default)]
    pub about: String,
    /// Files of `tests/` by their place on the machine, beside those that every machine has.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Who runs `gpg`; where only the original does, it is not on our `PATH`.
    #[serde(default)]
    pub gpg: Option<Gpg>,
    pub steps: Vec<Step>,
}

/// Who needs `gpg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gpg {
    Original,
    Both,
}

/// One activation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// Shell commands that run before, as root.
    pub before: String,
    /// Fields of the manifest, over those that the module writes; or the text of it. None: the one of the step before.
    pub manifest: Option<Value>,
    /// All arguments.
    pub arguments: Vec<String>,
    /// The environment, over [`Step::environment`]; null takes a variable away. `@PATH` is the content of a file.
    pub env: BTreeMap<String, Option<String>>,
    pub umask: String,
    /// Who runs it.
    pub uid: u32,
    /// A capability that it lacks, as setpriv names it.
    pub lacks: Option<String>,
    /// Texts to be looked for on standard error, which is else not compared: whether it has them is.
    pub mentions: Vec<String>,
    /// A file whose openings are to be counted.
    pub opened: Option<String>,
}

impl Default for Step {
    fn default() -> Self {
        Self {
            before: String::new(),
            manifest: None,
            arguments: vec!["/etc/sops/manifest.json".into()],
            env: BTreeMap::new(),
            umask: "022".into(),
            uid: 0,
            lacks: None,
            mentions: Vec::new(),
            opened: None,
        }
    }
}

impl Step {
    /// The whole environment.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let usual = [
            ("PATH", "/var/program:/usr/bin:/bin"),
            ("HOME", "/var/empty"),
            ("SOPS_AGE_KEY_FILE", "/etc/sops/age.txt"),
        ];
        let mut all: BTreeMap<String, Option<String>> =
            usual.into_iter().map(|(name, value)| (name.into(), Some(value.into()))).collect();
        all.extend(self.env.clone());
        let value = |value: String| match value.strip_prefix('@') {
            Some(path) => fs::read_to_string(path).unwrap(),
            None => value,
        };
        all.into_iter().filter_map(|(name, text)| Some((name, value(text?)))).collect()
    }

    /// What starts the program, in a shell.
    pub fn prefix(&self) -> String {
        let without =
            |capability| format!("setpriv --bounding-set -{capability} --inh-caps -{capability} --");
        self.lacks.as_ref().map(without).unwrap_or_default()
    }

    /// The text of the manifest, if it is a new one.
    pub fn manifest(&self) -> Option<String> {
        match self.manifest.as_ref()? {
            Value::String(text) => Some(text.clone()),
            fields => Some(serde_json::to_string_pretty(&complete(fields)).unwrap()),
        }
    }
}

/// The manifest that the module would write, with `fields` on top.
fn complete(fields: &Value) -> Value {
    let mut manifest = json!({
        "secrets": [],
        "templates": [],
        "placeholderBySecretName": {},
        "secretsMountPoint": "/run/secrets.d",
        "symlinkPath": "/run/secrets",
        "keepGenerations": 1,
        "gnupgHome": null,
        "sshKeyPaths": [],
        "ageKeyFile": null,
        "ageSshKeyPaths": [],
        "useTmpfs": false,
        "userMode": false,
        "logging": {"keyImport": false, "secretChanges": true},
    });
    overlay(&mut manifest, fields);
    let symlink = manifest["symlinkPath"].as_str().unwrap().to_owned();
    for (list, directory) in [("secrets", ""), ("templates", "/rendered")] {
        for entry in manifest[list].as_array_mut().unwrap() {
            let name = entry["name"].as_str().unwrap_or_default().to_owned();
            let mut whole = json!({
                "name": name, "path": format!("{symlink}{directory}/{name}"), "mode": "0400",
                "owner": null, "uid": 0, "group": null, "gid": 0, "restartUnits": [], "reloadUnits": [],
            });
            if list == "secrets" {
                overlay(
                    &mut whole,
                    &json!({"key": name, "sopsFile": "/etc/sops/values.yaml", "format": "yaml"}),
                );
            }
            overlay(&mut whole, entry);
            *entry = whole;
        }
    }
    manifest
}

fn overlay(under: &mut Value, over: &Value) {
    for (field, value) in over.as_object().unwrap() {
        under[field] = value.clone();
    }
}

/// Every case, in the order of the files.
pub fn all() -> Vec<Case> {
    let mut paths: Vec<_> =
        fs::read_dir(repository("tests/compat/cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Case> {
    let text = fs::read(path).unwrap();
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
