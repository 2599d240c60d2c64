//! Makes histories: a machine, one to four manifests over the same files, and changes of both between.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::compat::case::{Case, Step};

/// Splitmix: a history is its number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// Names of secrets; none is a directory of another.
const NAMES: [&str; 8] = ["a", "b", "c", "d/x", "d/y", "e/f/g", "with space", "Ü"];
/// What can be installed: key, file, format.
const SOURCES: [(&str, &str, &str); 14] = [
    ("one", "values.yaml", "yaml"),
    ("two", "values.yaml", "yaml"),
    ("three", "values.yaml", ""),
    ("empty", "values.yaml", "yaml"),
    ("nested/inner/deep", "values.yaml", "yaml"),
    ("", "values.yaml", "yaml"),
    ("one", "values.json", "json"),
    ("two", "values.json", "json"),
    ("", "values.json", "json"),
    ("", "values.env", "dotenv"),
    ("first/one", "values.ini", "ini"),
    ("", "values.bin", "binary"),
    ("unicode", "values.yaml", "yaml"),
    ("nested/sibling", "values.yaml", "yaml"),
];
const MODES: [&str; 5] = ["0400", "440", "0644", "0755", "0"];
const UNITS: [&str; 4] = ["a.service", "b.service", "c.socket", "d@e.service"];
const KINDS: [&str; 5] = ["yaml", "json", "env", "ini", "bin"];

/// The history of a number.
pub fn history(number: u64) -> Case {
    let mut random = Random(number);
    let settings = Settings::new(&mut random);
    let mut stores = [Store::default(), Store::default()];
    let mut steps = Vec::new();
    let mut before = settings.before.clone();
    for index in 0..=random.below(4) {
        let second = usize::from(!settings.user_mode && random.percent(15));
        stores[second].change(&mut random);
        let mut step = settings.step(&mut random, &stores[second], second == 1);
        if index > 0 {
            before = change_files(&mut random);
        }
        step.before = std::mem::take(&mut before);
        steps.push(step);
    }
    Case { name: format!("history {number}"), steps, ..Case::default() }
}

/// What stays in a history.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the manifest or the command line")]
struct Settings {
    before: String,
    env: BTreeMap<String, Option<String>>,
    ignore_passwd: bool,
    user_mode: bool,
    use_tmpfs: bool,
    secret_changes: bool,
    key_import: bool,
    keys: Value,
}

impl Settings {
    fn new(random: &mut Random) -> Self {
        let mut env = BTreeMap::new();
        let user_mode = random.percent(8);
        let mut before: Vec<&str> = Vec::new();
        if random.percent(70) {
            before.push("mkdir /run/nixos");
        }
        if user_mode {
            env.insert("XDG_RUNTIME_DIR".to_owned(), Some("/run/user/0".to_owned()));
            before.push("mkdir -p /run/user/0");
        }
        match random.below(12) {
            0 => before.push("ln -s /run/secrets.d/7 /run/secrets"),
            1 => before.push("ln -s nowhere /run/secrets"),
            2 => before
                .push("mkdir -p /var/lib/app; echo old >/var/lib/app/a; ln -s /etc/passwd /var/lib/app/b"),
            3 => before.push("mkdir -p /run/secrets.d/3/x"),
            _ => {}
        }
        if random.percent(30) {
            env.insert("SOPS_RESTART_UNITS_VIA_SYSTEMCTL".into(), Some("1".into()));
        }
        let keys = match random.below(4) {
            0 => json!({"ageKeyFile": "/etc/sops/age.txt"}),
            1 => json!({"ageSshKeyPaths": ["/etc/ssh/absent", "/etc/ssh/ssh_host_ed25519_key"]}),
            _ => json!({}),
        };
        Self {
            before: before.join("; "),
            env,
            ignore_passwd: random.percent(10),
            user_mode,
            use_tmpfs: random.percent(20),
            secret_changes: random.percent(70),
            key_import: random.percent(50),
            keys,
        }
    }

    fn step(&self, random: &mut Random, store: &Store, for_users: bool) -> Step {
        let name = if for_users { "secrets-for-users" } else { "secrets" };
        let top = if self.user_mode { "%r" } else { "/run" };
        let mut manifest = json!({
            "secretsMountPoint": format!("{top}/{name}.d"),
            "symlinkPath": format!("{top}/{name}"),
            "keepGenerations": random.below(4),
            "useTmpfs": self.use_tmpfs,
            "userMode": self.user_mode,
            "logging": {"keyImport": self.key_import, "secretChanges": self.secret_changes},
            "placeholderBySecretName": {},
        });
        for (field, value) in self.keys.as_object().unwrap() {
            manifest[field] = value.clone();
        }
        let mut secrets: Vec<Value> = store.secrets.values().cloned().collect();
        let mut templates: Vec<Value> = store.templates.values().cloned().collect();
        for entry in secrets.iter_mut().chain(&mut templates) {
            // Without a path it is the one below the symlink.
            if let Some(path) = entry.get("path").and_then(Value::as_str) {
                entry["path"] = format!("/var/lib/{}{path}", if for_users { "users" } else { "app" }).into();
            }
        }
        for secret in &secrets {
            let name = secret["name"].as_str().unwrap();
            manifest["placeholderBySecretName"][name] = format!("<{name}>").into();
        }
        if random.percent(12) && !secrets.is_empty() {
            let index = random.below(secrets.len());
            let mut failures = vec![
                ("sopsFile", "/etc/sops/absent"),
                ("sopsFile", "/etc/sops/mac.yaml"),
                ("sopsFile", "/etc/sops/damaged.yaml"),
                ("key", "nested/absent"),
                ("mode", "u=r"),
            ];
            // The row `user-owners` has its case.
            if !self.user_mode {
                failures.extend([("owner", "nobody-knows"), ("group", "nobody-knows")]);
            }
            let (field, value) = random.one_of(&failures);
            secrets[index][field] = value.into();
            if field == "sopsFile" || field == "key" {
                secrets[index]["format"] = "yaml".into();
                // Of any other format the key is ignored.
                if field == "key" {
                    secrets[index]["sopsFile"] = "/etc/sops/values.yaml".into();
                }
            }
        }
        manifest["secrets"] = secrets.into();
        manifest["templates"] = templates.into();
        let mut step = Step { env: self.env.clone(), manifest: Some(manifest), ..Step::default() };
        if self.ignore_passwd {
            step.arguments.insert(0, "-ignore-passwd".into());
        }
        if random.percent(5) {
            step.arguments.insert(0, random.one_of(&["-check-mode=manifest", "-check-mode=sopsfile"]).into());
        }
        if random.percent(15) && !self.user_mode {
            step.env.insert("NIXOS_ACTION".into(), Some("dry-activate".into()));
        }
        step
    }
}

/// What one manifest wants, by name.
#[derive(Default)]
struct Store {
    secrets: BTreeMap<String, Value>,
    templates: BTreeMap<String, Value>,
}

impl Store {
    fn change(&mut self, random: &mut Random) {
        let changes = if self.secrets.is_empty() { 1 + random.below(6) } else { random.below(4) };
        for _ in 0..changes {
            let name = random.one_of(&NAMES).to_owned();
            match random.below(10) {
                0 | 1 => {
                    self.secrets.remove(&name);
                }
                2 => {
                    if let Some(secret) = self.secrets.get_mut(&name) {
                        place(random, secret, &name);
                    }
                }
                _ => {
                    let (key, file, format) = random.one_of(&SOURCES);
                    let mut secret = json!({"name": name, "key": key, "sopsFile": format!("/etc/sops/{file}"), "format": format});
                    place(random, &mut secret, &name);
                    self.secrets.insert(name, secret);
                }
            }
        }
        if random.percent(35) {
            let name = random.one_of(&["t", "u/v", "w"]).to_owned();
            if random.percent(25) {
                self.templates.remove(&name);
            } else {
                let uses =
                    self.secrets.keys().filter(|_| random.percent(50)).map(|name| format!("<{name}> "));
                let mut template =
                    json!({"name": name, "content": format!("text {}\n", uses.collect::<String>())});
                place(random, &mut template, &name.replace('/', "-template-"));
                self.templates.insert(name, template);
            }
        }
        // A placeholder of a secret that is gone would stay in the text there, and is not told apart here.
        for template in self.templates.values_mut() {
            let content = template["content"].as_str().unwrap().to_owned();
            let known = |word: &&str| {
                !word.starts_with('<') || self.secrets.keys().any(|name| **word == format!("<{name}>"))
            };
            template["content"] = content
                .split_inclusive(' ')
                .filter(|word| known(&word.trim_end()))
                .collect::<String>()
                .into();
            if template["content"] == "" {
                template["content"] = "text".into();
            }
        }
    }
}

/// Who may read it, where it is linked, and who wants to know.
fn place(random: &mut Random, entry: &mut Value, name: &str) {
    entry["mode"] = random.one_of(&MODES).into();
    for (by_name, names, by_number) in
        [("owner", ["alice", "bob"], "uid"), ("group", ["staff", "keys"], "gid")]
    {
        match random.below(4) {
            0 => entry[by_name] = random.one_of(&names).into(),
            1 => entry[by_number] = random.below(5000).into(),
            _ => {}
        }
    }
    if random.percent(25) {
        entry["path"] = format!("/{name}").into();
    }
    for list in ["restartUnits", "reloadUnits"] {
        let units: Vec<&str> = UNITS.into_iter().filter(|_| random.percent(15)).collect();
        entry[list] = units.into();
    }
}

/// Other values in some files, or the first ones again.
fn change_files(random: &mut Random) -> String {
    let mut script = String::from(
        "cd /etc/sops; test -e first.yaml || for kind in yaml json env ini bin; do cp values.$kind first.$kind; done",
    );
    for kind in KINDS {
        if random.percent(35) {
            let from = random.one_of(&["first", "values-changed"]);
            write!(script, "; cp {from}.{kind} values.{kind}").unwrap();
        }
    }
    script
}
