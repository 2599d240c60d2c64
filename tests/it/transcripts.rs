//! What a person sees when something is wrong: the program run on failing inputs, its output compared with the
//! transcripts in `tests/transcripts/`, which are there to be read and reviewed.
//!
//! `UPDATE_TRANSCRIPTS=1 cargo test --test it transcripts` writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use sops_activate::diagnostic::Printable;

use crate::gnupg::has_gpg;
use crate::machine::{Machine, PROGRAM, output, repository, text};

/// One failing run.
pub struct Case {
    pub name: &'static str,
    program: &'static str,
    environment: Vec<(&'static str, String)>,
    arguments: Vec<&'static str>,
    in_namespace: bool,
    in_memory: bool,
    needs_gpg: bool,
    prepare: Box<dyn Fn(&Machine)>,
}

impl Case {
    /// `sops-activate DIR/manifest.json`, after `prepare`.
    fn new(name: &'static str, prepare: impl Fn(&Machine) + 'static) -> Self {
        Self {
            name,
            program: "sops-activate",
            environment: Vec::new(),
            arguments: vec!["DIR/manifest.json"],
            in_namespace: false,
            in_memory: false,
            needs_gpg: false,
            prepare: Box::new(prepare),
        }
    }

    /// One secret `db/password`, the value of `key` in a file `DIR/secrets.yaml` with the content `source`; the key
    /// of the vectors is in `DIR/age.txt`.
    fn file(name: &'static str, key: &'static str, source: impl Into<String>) -> Self {
        let source = source.into();
        Self::new(name, move |machine| {
            machine.write("secrets.yaml", &source);
            machine.write("age.txt", text("vectors/age-keys.txt") + &text("fixtures/keys/age.txt"));
            machine.manifest(
                json!({"secrets": [secret("db/password", key, "secrets.yaml")], "ageKeyFile": "DIR/age.txt"}),
            );
        })
    }

    /// A whole file, said to be of `format`, although it is the file `fixture`.
    fn format(name: &'static str, format: &'static str, fixture: &'static str) -> Self {
        Self::new(name, move |machine| {
            machine.copy(fixture, "secrets");
            machine.copy("fixtures/keys/age.txt", "age.txt");
            let secret = json!({"name": "app.conf", "mode": "0400", "sopsFile": "DIR/secrets", "format": format, "key": ""});
            machine.manifest(json!({"secrets": [secret], "ageKeyFile": "DIR/age.txt"}));
        })
    }

    /// One secret of the file `fixture` of `tests/fixtures`; `keys` are the fields of the manifest that name keys,
    /// which lie in `DIR/keys`.
    fn locked(name: &'static str, fixture: &'static str, keys: Value) -> Self {
        Self::new(name, move |machine| {
            machine.copy(&format!("fixtures/{fixture}"), "secrets.yaml");
            for key in fs::read_dir(repository("tests/fixtures/keys")).unwrap() {
                let key = key.unwrap().file_name().into_string().unwrap();
                machine.copy(&format!("fixtures/keys/{key}"), &format!("keys/{key}"));
            }
            let mut fields = keys.clone();
            fields["secrets"] = json!([secret("db/password", "value", "secrets.yaml")]);
            machine.manifest(fields);
        })
    }

    /// One secret of a file for the OpenPGP key of the fixtures, with the home of gpg in `DIR/gnupg`: `prepare` is a
    /// shell script that makes it, and may write a program `DIR/gpg`.
    fn gpg(name: &'static str, prepare: &'static str) -> Self {
        Self::new(name, move |machine| {
            machine.copy("fixtures/recipients/only-pgp.yaml", "secrets.yaml");
            machine.copy("fixtures/keys/pgp.asc", "pgp.asc");
            machine.manifest(
                json!({"secrets": [secret("db/password", "value", "secrets.yaml")], "gnupgHome": "DIR/gnupg"}),
            );
            let script = machine.here(prepare);
            let mut command = Command::new("sh");
            let output = command.args(["-euc", &script]).current_dir(machine.path("")).output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        })
        .set("PATH", "/usr/bin:/bin")
    }

    /// The same with a program in place of gpg, a shell script.
    fn fake_gpg(name: &'static str, prepare: &'static str) -> Self {
        Self::gpg(name, prepare).set("SOPS_GPG_EXEC", "DIR/gpg")
    }

    fn with_gpg(mut self) -> Self {
        self.needs_gpg = true;
        self
    }

    /// The secret `name` is the value of `key` in a file that has many keys.
    fn key(name: &'static str, secret_name: &'static str, key: &'static str) -> Self {
        Self::new(name, move |machine| {
            machine.copy("fixtures/sops/3.13.3/rich.yaml", "secrets.yaml");
            machine.copy("fixtures/keys/age.txt", "age.txt");
            machine.manifest(
                json!({"secrets": [secret(secret_name, key, "secrets.yaml")], "ageKeyFile": "DIR/age.txt"}),
            );
        })
    }

    /// A template of `fields` beside a secret that is well.
    fn template(name: &'static str, fields: Value) -> Self {
        Self::new(name, move |machine| {
            machine.copy("vectors/c-ok.enc.yaml", "secrets.yaml");
            machine.copy("vectors/age-keys.txt", "age.txt");
            let mut template = json!({"name": "app.conf", "mode": "0400", "content": "", "file": ""});
            for (name, value) in fields.as_object().unwrap() {
                template[name] = value.clone();
            }
            machine.manifest(json!({
                "secrets": [secret("db/password", "a", "secrets.yaml")], "ageKeyFile": "DIR/age.txt",
                "templates": [template], "placeholderBySecretName": {"db/password": "<SOPS:11aa:PLACEHOLDER>"},
            }));
        })
    }

    /// And this is done on the machine, too.
    fn preparing(mut self, more: impl Fn(&Machine) + 'static) -> Self {
        let first = self.prepare;
        self.prepare = Box::new(move |machine| {
            first(machine);
            more(machine);
        });
        self
    }

    fn called(mut self, program: &'static str) -> Self {
        self.program = program;
        self
    }

    fn with(mut self, arguments: &[&'static str]) -> Self {
        self.arguments = arguments.to_vec();
        self
    }

    fn set(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.environment.retain(|(name, _)| *name != variable);
        self.environment.push((variable, value.into()));
        self
    }

    /// It comes as far as the store.
    fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    /// As root in a mount namespace of its own, for what system mode does.
    fn in_namespace(mut self) -> Self {
        self.in_namespace = true;
        self
    }

    /// `None` where the machine cannot do it, which is told.
    pub fn run(&self) -> Option<(Machine, Output)> {
        let machine = Machine::new();
        if self.in_memory && !machine.is_in_memory() {
            return None;
        }
        if self.needs_gpg && !has_gpg() {
            eprintln!("skipped: {}: cannot run gpg", self.name);
            return None;
        }
        (self.prepare)(&machine);
        let mut command = machine.command(self.program, &self.arguments);
        if self.in_namespace {
            let mut inside = Command::new("unshare");
            inside.args(["--map-root-user", "--mount", "--"]);
            if !inside.arg("true").status().is_ok_and(|status| status.success()) {
                eprintln!("skipped: {}: no namespaces here", self.name);
                return None;
            }
            let mut inside = Command::new("unshare");
            // The one group of the namespace is root's.
            machine.write("group", "root:x:0:\nkeys:x:0:\n");
            machine.write("passwd", "root:x:0:0::/root:/bin/sh\npostgres:x:71:71::/var/empty:/bin/sh\n");
            // The state that an activation leaves is not to reach the tester's own machine.
            let script = "mount --bind \"$0/group\" /etc/group && mount --bind \"$0/passwd\" /etc/passwd && \
                          mount -t tmpfs none /var/lib && exec \"$@\"";
            inside.args(["--map-root-user", "--mount", "--", "sh", "-c", script]).arg(machine.path(""));
            inside.arg(PROGRAM).args(command.get_args());
            command = inside;
        }
        for (variable, value) in &self.environment {
            // Empty is as good as unset for the one variable that is there without being asked for.
            command.env(variable, machine.here(value));
        }
        let output = output(command);
        if self.needs_gpg {
            // Its agent would outlive the machine.
            let ended = Command::new("gpgconf")
                .arg("--homedir")
                .arg(machine.path("gnupg"))
                .args(["--kill", "all"])
                .status();
            assert!(ended.unwrap().success());
        }
        Some((machine, output))
    }

    /// How the run differs from its transcript, which is written anew if the tester asks for that.
    pub fn review(&self, machine: &Machine, output: &Output) -> Option<String> {
        let path = directory().join(format!("{}.txt", self.name));
        let found = self.transcript(machine, output);
        if is_update() {
            fs::write(path, found).unwrap();
            return None;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        (found != expected).then(|| format!("--- {}\n{expected}+++ now\n{found}", self.name))
    }

    fn transcript(&self, machine: &Machine, output: &Output) -> String {
        let mut words = vec!["$".to_owned()];
        for (variable, value) in &self.environment {
            words.push(format!("{variable}={}", if value.contains([' ', '\n']) { "…" } else { value }));
        }
        words.push(self.program.to_owned());
        words.extend(self.arguments.iter().map(|argument| Printable(argument).to_string()));
        let line = words.join(" ");
        let printed = [output.stdout.as_slice(), &output.stderr].concat();
        let printed = machine.anywhere(std::str::from_utf8(&printed).unwrap());
        format!("{line}\n{printed}exit {}\n", output.status.code().unwrap())
    }
}

/// A secret as the module writes it, without what does not matter here.
fn secret(name: &str, key: &str, file: &str) -> Value {
    json!({"name": name, "key": key, "sopsFile": format!("DIR/{file}"), "format": "yaml", "mode": "0400"})
}

/// `text` with `line` put before line `number`.
fn with_line(text: &str, number: usize, line: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(number - 1, line);
    lines.join("\n") + "\n"
}

pub fn cases() -> Vec<Case> {
    [
        command_line(),
        manifests(),
        plans(),
        files(),
        damage(),
        keys(),
        gpg(),
        values(),
        places(),
        checks(),
        checks_of_files(),
        checks_of_plans(),
        checks_of_a_host(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn command_line() -> Vec<Case> {
    let case = |name, arguments: &[&'static str]| Case::new(name, |_| {}).with(arguments);
    vec![
        case("no-manifest", &[]).called("sops-install-secrets"),
        case("two-manifests", &["a.json", "b.json"]),
        case("flag-after-the-manifest", &["a.json", "-ignore-passwd"]).called("sops-install-secrets"),
        case("unknown-flag", &["-dry-run", "a.json"]),
        case("unknown-check-mode", &["-check-mode=all", "a.json"]),
        case("control-characters-on-the-command-line", &["-\u{1b}[2J\n\u{202e}", "a.json"]),
    ]
}

fn manifests() -> Vec<Case> {
    let manifest =
        |name, text: &'static [u8]| Case::new(name, move |machine| machine.write("manifest.json", text));
    vec![
        Case::new("manifest-missing", |_| {}).called("sops-install-secrets"),
        Case::new("manifest-is-a-directory", |machine| {
            fs::create_dir(machine.path("manifest.json")).unwrap();
        }),
        manifest("manifest-empty", b""),
        manifest("manifest-not-json", b"{\n  \"secrets\": [],\n  \"templates\": [}\n}\n"),
        manifest("manifest-not-utf-8", b"{\n  \"symlinkPath\": \"/run/\xff\"\n}\n"),
        manifest("manifest-is-a-list", b"[]"),
        manifest("manifest-wrong-type-of-a-setting", b"{\n  \"keepGenerations\": \"all\"\n}\n"),
        Case::new("manifest-wrong-types-of-secrets", |machine| {
            machine.manifest(json!({
                "secrets": [
                    {"name": "db/password", "mode": 400, "sopsFile": "DIR/secrets.yaml"},
                    {"name": "api", "mode": "0400", "uid": "alice"},
                    {"name": 7},
                    "tls",
                    {"name": "mail", "restartUnits": "postfix.service"},
                ],
                "templates": [{"name": "app.conf", "content": ["x"]}],
            }));
        }),
    ]
}

fn plans() -> Vec<Case> {
    let plan = |name, fields: Value| Case::new(name, move |machine| machine.manifest(fields.clone()));
    let mut secrets = vec![
        json!({"name": "../escape", "mode": "0400", "sopsFile": "DIR/a.yaml"}),
        json!({"name": "/absolute", "mode": "0400", "sopsFile": "DIR/a.yaml"}),
        json!({"name": "", "mode": "0400", "sopsFile": "DIR/a.yaml"}),
        json!({"name": "a//b", "mode": "0400", "sopsFile": "DIR/a.yaml"}),
        json!({"name": "mode", "mode": "u=r", "sopsFile": "DIR/a.yaml"}),
        json!({"name": "uid", "mode": "0400", "sopsFile": "DIR/a.yaml", "uid": -1}),
        json!({"name": "format", "mode": "0400", "sopsFile": "DIR/a.yaml", "format": "toml"}),
        json!({"name": "no-file", "mode": "0400"}),
        json!({"name": "twice", "mode": "0400", "sopsFile": "DIR/a.yaml"}),
        json!({"name": "twice", "mode": "0400", "sopsFile": "DIR/a.yaml"}),
        json!({"name": "file", "mode": "0400", "sopsFile": "DIR/a.yaml"}),
        json!({"name": "file/below", "mode": "0400", "sopsFile": "DIR/a.yaml"}),
        json!({"name": "other-format", "mode": "0400", "sopsFile": "DIR/a.yaml", "format": "json"}),
        json!({"name": "one", "mode": "0400", "sopsFile": "DIR/a.yaml", "path": "/etc/key"}),
        json!({"name": "other", "mode": "0400", "sopsFile": "DIR/a.yaml", "path": "/etc/key"}),
        json!({"name": "relative", "mode": "0400", "sopsFile": "DIR/a.yaml", "path": "etc/key"}),
        json!({"name": "up", "mode": "0400", "sopsFile": "DIR/a.yaml", "path": "/etc/../key"}),
        json!({"name": "setuid", "mode": "4755", "sopsFile": "DIR/a.yaml"}),
    ];
    secrets.push(json!({"name": "rendered/app.conf", "mode": "0400", "sopsFile": "DIR/a.yaml"}));
    let bad = json!({
        "secrets": secrets,
        "templates": [
            {"name": "app.conf", "mode": "0400", "content": "x"},
            {"name": "neither", "mode": "0400"},
        ],
        "placeholderBySecretName": {"one": "<SAME>", "other": "<SAME>", "file": ""},
        "symlinkPath": "%r/secrets.d/link",
        "keepGenerations": -1,
        "gnupgHome": "/root/.gnupg",
        "ageKeyFile": "DIR/age.txt",
    });
    vec![
        plan("every-problem-of-a-plan", bad)
            .called("sops-install-secrets")
            .with(&["-check-mode=manifest", "DIR/manifest.json"]),
        plan("copies-without-a-path", {
            let copy = |name: &str, path: &str, mode: &str| json!({"name": name, "mode": "0400", "sopsFile": "DIR/a.yaml", "path": path, "installMode": mode});
            let secrets = [
                copy("no-path", "", "copy"),
                copy("in-the-store", "%r/secrets.d/key", "copy"),
                copy("unknown", "/etc/key", "hardlink"),
            ];
            json!({"secrets": secrets})
        }),
        plan("settings-missing", json!({"secretsMountPoint": null, "symlinkPath": ""})),
        plan("runtime-directory-unset", json!({"secrets": [secret("token", "token", "secrets.yaml")]}))
            .set("XDG_RUNTIME_DIR", ""),
        plan(
            "control-characters-in-names",
            json!({
                "secrets": [
                    secret("\u{1b}[31mred\u{7}\nsops-activate: done", "key", "no\u{202e}file\u{1b}[2J"),
                    json!({"name": "x\u{85}y\u{200b}", "mode": "9\u{1b}", "sopsFile": "/a\r/b", "path": "\u{2066}here"}),
                ],
            }),
        ),
        plan(
            "control-characters-in-the-path-of-a-sops-file",
            json!({"secrets": [secret("\u{1b}[31mred\u{7}\nsops-activate: done", "key", "no\u{202e}file\n\u{1b}[2J")]}),
        ),
        plan("many-secrets-of-a-missing-file", {
            let names: Vec<Value> =
                (1..=20).map(|number| secret(&format!("service-{number}"), "key", "secrets.yaml")).collect();
            json!({"secrets": names})
        }),
    ]
}

fn files() -> Vec<Case> {
    let missing = |name| {
        Case::new(name, |machine| {
            machine.manifest(json!({"secrets": [secret("db/password", "a", "secrets.yaml")]}));
        })
    };
    let with = |name, make: fn(&std::path::Path)| {
        Case::new(name, move |machine| {
            machine.manifest(json!({"secrets": [secret("db/password", "a", "secrets.yaml")]}));
            make(&machine.path("secrets.yaml"));
        })
    };
    vec![
        missing("sops-file-missing"),
        missing("sops-file-missing-when-checked").with(&["-check-mode=sopsfile", "DIR/manifest.json"]),
        with("sops-file-is-a-directory", |path| fs::create_dir(path).unwrap()),
        with("sops-file-is-a-fifo", |path| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
        Case::file("sops-file-empty", "a", ""),
        Case::file("sops-file-not-encrypted", "db", "db:\n  password: hunter2-hunter2\n"),
        Case::format("not-yaml-but-dotenv", "yaml", "fixtures/sops/3.13.3/rich.env"),
        Case::format("not-yaml-but-ini", "yaml", "fixtures/sops/3.13.3/rich.ini"),
        Case::format("not-json-but-yaml", "json", "fixtures/sops/3.13.3/rich.yaml"),
        Case::format("not-binary-but-yaml", "binary", "fixtures/sops/3.13.3/rich.yaml"),
        Case::format("not-binary-but-json", "binary", "fixtures/sops/3.13.3/rich.json"),
        Case::format("not-dotenv-but-ini", "dotenv", "fixtures/sops/3.13.3/rich.ini"),
        Case::format("not-dotenv-but-yaml", "dotenv", "fixtures/sops/3.13.3/rich.yaml"),
        Case::format("not-ini-but-json", "ini", "fixtures/sops/3.13.3/rich.json"),
    ]
}

fn damage() -> Vec<Case> {
    let rich = text("fixtures/sops/3.13.3/rich.yaml");
    let ok = text("vectors/c-ok.enc.yaml");
    let regex = text("fixtures/sops/3.13.3/encrypted-regex.yaml");
    let rule =
        regex.lines().find(|line| line.trim_start().starts_with("encrypted_regex:")).unwrap().to_owned();
    let vector = |name, vector: &str| Case::file(name, "a", text(&format!("vectors/{vector}")));
    vec![
        Case::file("merge-conflict", "plain", with_line(&with_line(&rich, 5, "======="), 4, "<<<<<<< HEAD")),
        Case::file("truncated", "plain", rich.get(..rich.len() / 3).unwrap_or_default()),
        Case::file("truncated-in-the-metadata", "plain", rich.get(..rich.len() - 300).unwrap_or_default()),
        Case::file("tab", "a", format!("b:\n\tc: d\n{ok}")),
        Case::file("bad-regex", "user", regex.replace(&rule, "    encrypted_regex: '^(password'")),
        vector("duplicate-key", "c-dup-key.enc.yaml"),
        vector("two-rules", "c-two-rules.enc.yaml"),
        vector("no-keys-in-the-file", "c-no-keys.enc.yaml"),
        vector("sops-entry-not-a-mapping", "c-sops-scalar.enc.yaml"),
        vector("key-entry-damaged", "c-enc-not-armored.enc.yaml"),
        vector("value-tampered", "c-tag-flipped.enc.yaml"),
        vector("value-moved", "c-swapped-values.enc.yaml"),
        vector("value-not-encrypted", "c-plain-in-encrypted.enc.yaml"),
        vector("value-a-plain-number", "c-int-in-encrypted.enc.yaml"),
        vector("mac-missing", "c-mac-missing.enc.yaml"),
        vector("mac-mismatch", "c-unencrypted-tampered.enc.yaml"),
        vector("mac-of-another-time", "c-mac-other-lastmodified.enc.yaml"),
    ]
}

fn keys() -> Vec<Case> {
    let host = |name: &str| json!({"ageSshKeyPaths": [format!("DIR/keys/{name}")]});
    let file = |name: &str| json!({"ageKeyFile": format!("DIR/keys/{name}")});
    vec![
        Case::locked("no-key-matches", "recipients/ssh-to-age.yaml", host("sample_host_ed25519")),
        Case::locked("no-key-matches-of-many-recipients", "recipients/only-strangers.yaml", {
            json!({"ageSshKeyPaths": ["DIR/keys/host_ed25519"], "sshKeyPaths": ["DIR/keys/host_rsa"],
                   "ageKeyFile": "DIR/keys/age.txt"})
        })
        .called("sops-install-secrets"),
        Case::locked("only-pgp", "recipients/only-pgp.yaml", host("host_ed25519")).set("PATH", ""),
        Case::locked("no-key-matches-kms-beside", "recipients/kms-beside-age.yaml", host("host_ed25519")),
        Case::new("no-key-matches-every-cloud", |machine| {
            let file = text("fixtures/recipients/kms-beside-age.yaml");
            let (before, rest) = file.split_once("    age:\n").unwrap();
            let (_, after) = rest.split_once("    lastmodified:").unwrap();
            machine.write("secrets.yaml", format!("{before}{CLOUDS}    lastmodified:{after}"));
            machine.copy("fixtures/keys/host_ed25519", "keys/host_ed25519");
            machine.manifest(json!({
                "secrets": [secret("db/password", "api", "secrets.yaml")],
                "ageSshKeyPaths": ["DIR/keys/host_ed25519"],
            }));
        }),
        Case::locked("no-key-configured", "recipients/ssh-to-age.yaml", json!({})),
        Case::locked("host-key-missing", "recipients/ssh-to-age.yaml", host("no_such_key")),
        Case::locked("host-key-encrypted", "recipients/ssh-to-age.yaml", host("host_encrypted")),
        Case::locked("host-key-public", "recipients/ssh-to-age.yaml", host("host_ed25519.pub")),
        Case::locked("host-key-ecdsa", "recipients/ssh-to-age.yaml", host("host_ecdsa")),
        Case::locked("host-key-is-an-age-key-file", "recipients/ssh-to-age.yaml", host("age.txt")),
        Case::locked("several-keys-unusable", "recipients/ssh-to-age.yaml", {
            json!({"ageSshKeyPaths": ["DIR/keys/no_such_key", "DIR/keys/host_ecdsa"], "ageKeyFile": "DIR/keys"})
        }),
        Case::locked(
            "age-key-file-with-a-bad-line",
            "recipients/ssh-to-age.yaml",
            file("age-one-bad-line.txt"),
        ),
        Case::locked("age-key-file-missing", "recipients/ssh-to-age.yaml", file("no-such-file.txt")),
        Case::locked("age-key-file-is-an-ssh-key", "recipients/ssh-to-age.yaml", file("host_ed25519")),
        Case::new("several-files-locked", |machine| {
            machine.copy("fixtures/recipients/ssh-to-age.yaml", "one.yaml");
            machine.copy("fixtures/recipients/ssh-rsa.yaml", "two.yaml");
            machine.copy("fixtures/keys/sample_host_ed25519", "keys/host_key");
            machine.manifest(json!({
                "secrets": [secret("one", "value", "one.yaml"), secret("two", "value", "two.yaml")],
                "ageSshKeyPaths": ["DIR/keys/host_key", "DIR/keys/other"]
            }));
        }),
        Case::locked("shamir-one-group-short", "sops/3.13.3/shamir.yaml", file("group-1.txt")),
        Case::locked("key-command", "recipients/ssh-to-age.yaml", json!({}))
            .set("SOPS_AGE_KEY_CMD", "/bin/sh -c 'echo the vault is sealed >&2; exit 2'"),
        Case::locked("key-in-the-environment-malformed", "recipients/ssh-to-age.yaml", json!({}))
            .set("SOPS_AGE_KEY", "AGE-SECRET-KEY-1 NOTAKEYATALL"),
        Case::locked("key-in-the-environment-of-another", "recipients/ssh-to-age.yaml", json!({}))
            .set("SOPS_AGE_KEY", text("fixtures/keys/age.txt")),
    ]
}

fn gpg() -> Vec<Case> {
    let home = "mkdir -m 0700 gnupg";
    vec![
        Case::gpg("gpg-key-with-a-passphrase", GPG_HOME_LOCKED).with_gpg(),
        Case::gpg("gpg-key-missing", home).with_gpg(),
        Case::gpg("gpg-missing", home).set("PATH", "DIR/no-such-directory"),
        Case::fake_gpg("gpg-exec-wrong", home),
        Case::gpg("gpg-home-missing", ":"),
        Case::gpg("gpg-home-is-a-file", "touch gnupg"),
        Case::fake_gpg(
            "gpg-floods",
            "mkdir gnupg; echo 'cat /dev/zero >&2 & cat /dev/zero' >gpg; sed -i '1i #!/bin/sh' gpg; chmod +x gpg",
        ),
        Case::fake_gpg("gpg-is-killed", "mkdir gnupg; printf '#!/bin/sh\\nkill -9 $$\\n' >gpg; chmod +x gpg"),
        Case::fake_gpg(
            "gpg-complains",
            "mkdir gnupg; printf '#!/bin/sh\\nhead -c 300000 /dev/zero >&2\\necho >&2\\necho gpg: no agent >&2; exit 2\\n' >gpg; chmod +x gpg",
        ),
    ]
}

const GPG_HOME_LOCKED: &str = "
    mkdir -m 0700 gnupg
    gpg='gpg --homedir gnupg --batch --quiet'
    $gpg --import pgp.asc
    $gpg --pinentry-mode=loopback --passphrase 'correct horse' --passwd FBA239CF16571AB75D813A4CD76C13565E129852
    gpgconf --homedir gnupg --kill all
";

/// A gpg that never ends, with a child, which holds `DIR/fifo` open. It takes the whole
/// time limit, so that only one test runs it.
pub fn hanging_gpg() -> Case {
    Case::fake_gpg(
        "gpg-hangs",
        "mkdir gnupg; mkfifo fifo; printf '#!/bin/sh\\nexec 9<>DIR/fifo\\nsleep 600 &\\nsleep 600\\n' >gpg; chmod +x gpg",
    )
}

fn values() -> Vec<Case> {
    vec![
        Case::key("key-nearly-right", "db/password", "nested/deep/deeper/deepst"),
        Case::key("key-missing", "db/password", "database"),
        Case::key("key-missing-when-checked", "db/password", "database")
            .with(&["-check-mode=sopsfile", "DIR/manifest.json"]),
        Case::key("key-missing-nested", "db/password", "nested/deep/password"),
        Case::key("key-below-a-string", "db/password", "plain/password"),
        Case::key("key-below-a-list", "db/password", "nested/list/99"),
        Case::key("key-null", "db/password", "nothing"),
        Case::key("key-is-the-metadata", "db/password", "sops/mac"),
        Case::template(
            "template-placeholder-unresolved",
            json!({"content": "user=app\npassword=<SOPS:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef:PLACEHOLDER>\n"}),
        ),
        Case::template(
            "template-placeholder-unresolved-when-checked",
            json!({"content": "password=<SOPS:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef:PLACEHOLDER>\n"}),
        )
        .with(&["-check-mode=manifest", "DIR/manifest.json"]),
        Case::template("template-file-missing", json!({"file": "DIR/app.conf.in"})),
    ]
}

/// Of two secrets and two templates one secret fails, and the template that needs it.
fn some_fail(name: &'static str, on_failure: &'static str) -> Case {
    Case::new(name, move |machine| {
        machine.copy("fixtures/sops/3.13.3/rich.yaml", "secrets.yaml");
        machine.copy("fixtures/keys/age.txt", "age.txt");
        let template = |name: &str, content: &str| json!({"name": name, "mode": "0400", "content": content});
        machine.manifest(json!({
            "secrets": [secret("token", "plain", "secrets.yaml"), secret("db/password", "database", "secrets.yaml")],
            "templates": [template("app.conf", "<db>"), template("mail.conf", "<token>")],
            "placeholderBySecretName": {"token": "<token>", "db/password": "<db>"},
            "ageKeyFile": "DIR/age.txt", "onFailure": on_failure,
        }));
    })
    .in_memory()
}

fn places() -> Vec<Case> {
    let system = |name, fields: Value| {
        Case::new(name, move |machine| {
            machine.copy("vectors/c-ok.enc.yaml", "secrets.yaml");
            machine.copy("vectors/age-keys.txt", "age.txt");
            let mut secret = secret("db/password", "a", "secrets.yaml");
            for (name, value) in fields.as_object().unwrap() {
                secret[name] = value.clone();
            }
            machine.manifest(json!({
                "secrets": [secret], "ageKeyFile": "DIR/age.txt",
                "userMode": false, "secretsMountPoint": "DIR/run/secrets.d",
            }));
        })
        .in_namespace()
    };
    vec![
        some_fail("some-secrets-fail", "partial"),
        some_fail("some-secrets-fail-and-on-failure-is-abort", "abort"),
        some_fail("on-failure-unknown", "ignore"),
        system("owner-unknown", json!({"owner": "no-such-user", "group": "root"})),
        system("group-unknown", json!({"owner": "root", "group": "no-such-group"})),
        system("owner-nearly-right", json!({"owner": "posgres", "group": "root"})),
        system("group-nearly-right", json!({"owner": "root", "group": "kesy"})),
        system("owner-is-a-number", json!({"owner": "1000", "group": "root"})),
        Case::new("path-blocked-by-a-directory", |machine| {
            machine.copy("vectors/c-ok.enc.yaml", "secrets.yaml");
            machine.copy("vectors/age-keys.txt", "age.txt");
            machine.write("etc/app/key/notes.txt", "mine");
            let mut secret = secret("db/password", "a", "secrets.yaml");
            secret["path"] = json!("DIR/etc/app/key");
            machine.manifest(json!({"secrets": [secret], "ageKeyFile": "DIR/age.txt"}));
        })
        .in_memory(),
    ]
}

/// What a build tells: the check modes.
fn checks() -> Vec<Case> {
    let sopsfile = ["-check-mode=sopsfile", "DIR/manifest.json"];
    let of = |name: &str, key: &str, file: &str, format: &str| {
        let mut secret = secret(name, key, file);
        secret["format"] = json!(format);
        secret
    };
    let key = |name, key: &'static str| Case::key(name, "db/password", key).with(&sopsfile);
    let json_key = move |name, key: &'static str| {
        Case::new(name, move |machine| {
            machine.copy("fixtures/sops/3.13.3/rich.json", "secrets.json");
            machine.manifest(json!({"secrets": [of("db/password", key, "secrets.json", "json")]}));
        })
        .with(&sopsfile)
    };
    let broken = |name, source: String| Case::file(name, "plain", source).with(&sopsfile);
    let not = |name, format, fixture| Case::format(name, format, fixture).with(&sopsfile);
    let yaml = text("fixtures/sops/3.13.3/rich.yaml");
    vec![
        key("check-key-nearly-right-at-the-top", "plian"),
        key("check-key-nearly-right-below", "nested/deep/deeper/deepst"),
        key("check-key-missing-below", "nested/deep/password"),
        key("check-key-below-a-string", "plain/password"),
        key("check-index-beyond-a-list", "nested/list/99"),
        key("check-key-null", "nothing"),
        json_key("check-json-key-nearly-right", "plian"),
        json_key("check-json-key-missing-below", "nested/deep/password"),
        broken("check-merge-conflict", with_line(&with_line(&yaml, 5, "======="), 4, "<<<<<<< HEAD")),
        broken("check-truncated-yaml", yaml.get(..yaml.len() / 3).unwrap_or_default().to_owned()),
        broken("check-tab", format!("b:\n\tc: d\n{yaml}")),
        broken("check-not-encrypted", "db:\n  password: hunter2-hunter2\n".to_owned()),
        broken("check-no-mac", {
            let lines = yaml.lines().filter(|line| !line.trim_start().starts_with("mac:"));
            lines.collect::<Vec<_>>().join("\n") + "\n"
        }),
        Case::new("check-truncated-json", |machine| {
            let json = text("fixtures/sops/3.13.3/rich.json");
            machine.write("secrets", json.get(..json.len() / 3).unwrap_or_default());
            machine.manifest(json!({"secrets": [{"name": "a", "key": "a", "mode": "0400", "sopsFile": "DIR/secrets", "format": "json"}]}));
        })
        .with(&sopsfile),
        not("check-not-yaml-but-dotenv", "yaml", "fixtures/sops/3.13.3/rich.env"),
        not("check-not-ini-but-json", "ini", "fixtures/sops/3.13.3/rich.json"),
        not("check-not-dotenv-but-ini", "dotenv", "fixtures/sops/3.13.3/rich.ini"),
        not("check-not-json-but-yaml", "json", "fixtures/sops/3.13.3/rich.yaml"),
        not("check-not-binary-but-json", "binary", "fixtures/sops/3.13.3/rich.json"),
        Case::new("check-file-is-a-directory", |machine| {
            fs::create_dir(machine.path("secrets.yaml")).unwrap();
            machine.manifest(json!({"secrets": [secret("db/password", "a", "secrets.yaml")]}));
        })
        .with(&sopsfile),
        Case::new("check-several-files", move |machine| {
            machine.copy("fixtures/sops/3.13.3/rich.yaml", "secrets.yaml");
            machine.copy("fixtures/sops/3.13.3/rich.json", "other.json");
            machine.write("plain.yaml", "db:\n  password: hunter2-hunter2\n");
            machine.manifest(json!({"secrets": [
                secret("db/password", "plian", "secrets.yaml"),
                secret("db/user", "plain/user", "secrets.yaml"),
                secret("gone", "a", "gone.yaml"),
                secret("unencrypted", "db", "plain.yaml"),
                {"name": "api", "key": "nested/deep/password", "mode": "0400", "sopsFile": "DIR/other.json", "format": "json"},
            ]}));
        })
        .with(&sopsfile),
    ]
}

/// The same, of where files lie, of all formats.
fn checks_of_files() -> Vec<Case> {
    let sopsfile = ["-check-mode=sopsfile", "DIR/manifest.json"];
    vec![
        Case::new("check-no-mac-in-dotenv", |machine| {
            machine.write("app.env", without_mac("fixtures/sops/3.13.3/rich.env"));
            machine.manifest(json!({"secrets": [{"name": "app.env", "mode": "0400", "sopsFile": "DIR/app.env", "format": "dotenv"}]}));
        })
        .with(&sopsfile),
        Case::new("check-no-mac-in-ini", |machine| {
            machine.write("app.ini", without_mac("fixtures/sops/3.13.3/rich.ini"));
            machine.manifest(json!({"secrets": [{"name": "app.ini", "mode": "0400", "sopsFile": "DIR/app.ini", "format": "ini"}]}));
        })
        .with(&sopsfile),
        Case::new("check-extract-key-nearly-right", |machine| {
            machine.copy("fixtures/sops/3.13.3/rich.env", "app.env");
            machine.manifest(json!({"secrets": [
                {"name": "token", "mode": "0400", "sopsFile": "DIR/app.env", "format": "dotenv", "key": "token", "extractKey": "PLIAN"},
            ]}));
        })
        .with(&sopsfile),
        Case::new("check-extract-key-without-its-section", |machine| {
            machine.copy("fixtures/sops/3.13.3/rich.ini", "app.ini");
            machine.manifest(json!({"secrets": [
                {"name": "token", "mode": "0400", "sopsFile": "DIR/app.ini", "format": "ini", "extractKey": "plain"},
            ]}));
        })
        .with(&sopsfile),
        Case::key("check-key-in-quotes", "db/password", "1/below").with(&sopsfile),
        Case::key("check-key-with-nothing-near", "db/password", "database-password").with(&sopsfile),
        Case::new("check-file-missing-in-the-store", |machine| {
            let file = "/nix/store/00000000000000000000000000000000-source/hosts/web/secrets.yaml";
            let mut secret = secret("db/password", "a", "secrets.yaml");
            secret["sopsFile"] = json!(file);
            machine.manifest(json!({"secrets": [secret]}));
        })
        .with(&sopsfile),
        Case::new("check-file-outside-of-the-store", |machine| {
            let secrets: Vec<Value> = ["one", "two", "three"].map(|name| secret(name, "a", "secrets.yaml")).into();
            machine.manifest(json!({"secrets": secrets}));
        })
        .with(&sopsfile),
        Case::new("check-many-secrets-of-another-format", |machine| {
            machine.copy("fixtures/sops/3.13.3/rich.env", "secrets");
            let mut secrets: Vec<Value> =
                (1..=20).map(|number| secret(&format!("service-{number}"), "key", "secrets")).collect();
            secrets.push(secret("other", "a", "other.yaml"));
            machine.copy("vectors/c-ok.enc.yaml", "other.yaml");
            machine.manifest(json!({"secrets": secrets}));
        })
        .with(&sopsfile),
        Case::new("check-template-file-missing", |machine| {
            machine.manifest(json!({"templates": [
                {"name": "app.conf", "mode": "0400", "file": "/nix/store/00000000000000000000000000000000-app.conf.in"},
            ]}));
        })
        .with(&sopsfile),
    ]
}

/// Two secrets and a template with owners and groups, some of which the configuration does not declare.
fn undeclared() -> Value {
    let owned = |owner: &str, group: &str| {
        let mut secret = secret(&format!("{owner}-{group}"), "a", "secrets.yaml");
        secret["owner"] = json!(owner);
        secret["group"] = json!(group);
        secret
    };
    let by_number = |uid: u32| {
        let mut secret = secret("by-number", "a", "secrets.yaml");
        secret["uid"] = json!(uid);
        secret
    };
    json!({
        "secrets": [owned("posgres", "posgres"), owned("postgres", "root"), owned("ldap-alice", "keys"), by_number(7)],
        "templates": [{"name": "app.conf", "mode": "0400", "content": "x", "owner": "1000", "group": "nginy"}],
        "placeholderBySecretName": {
            "posgres-posgres": "<1>", "postgres-root": "<2>", "ldap-alice-keys": "<3>", "by-number": "<4>",
        },
        "accounts": {"users": ["nginx", "postgres"], "groups": ["keys", "nginx", "postgres"]},
        "userMode": false,
        "secretsMountPoint": "/run/secrets.d",
    })
}

/// The same, of what no sops file is read for.
fn checks_of_plans() -> Vec<Case> {
    const UNKNOWN: &str =
        "<SOPS:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef:PLACEHOLDER>";
    let manifest = ["-check-mode=manifest", "DIR/manifest.json"];
    let plan = |name, fields: Value| {
        Case::new(name, move |machine| machine.manifest(fields.clone())).with(&manifest)
    };
    let simple = |name: &str| secret(name, "a", "secrets.yaml");
    let set = |name: &str, field: &str, value: &str| {
        let mut secret = simple(name);
        secret[field] = json!(value);
        secret
    };
    vec![
        plan("check-bad-mode", json!({"secrets": [set("db/password", "mode", "u=r")]})),
        plan("check-owners-not-declared", undeclared()),
        plan("check-unknown-format", json!({"secrets": [set("db/password", "format", "toml")]})),
        plan("check-escaping-name", json!({"secrets": [simple("../escape")]})),
        plan("check-duplicate-names", json!({"secrets": [simple("token"), simple("token")]})),
        plan(
            "check-two-secrets-on-one-path",
            json!({"secrets": [set("one", "path", "/etc/key"), set("other", "path", "/etc/key")]}),
        ),
        plan(
            "check-two-formats-of-one-file",
            json!({"secrets": [simple("one"), set("other", "format", "json")]}),
        ),
        plan(
            "check-empty-and-equal-placeholders",
            json!({
                "secrets": [simple("one"), simple("other"), simple("third")],
                "templates": [{"name": "app.conf", "mode": "0400", "content": "x"}],
                "placeholderBySecretName": {"one": "<SAME>", "other": "<SAME>", "third": ""},
            }),
        ),
        plan(
            "check-placeholder-of-a-secret-for-users",
            json!({
                "secrets": [simple("token")],
                "templates": [{"name": "app.conf", "mode": "0400", "content": format!("user = app\nhash = {UNKNOWN}\n")}],
                "placeholderBySecretName": {"token": "<TOKEN>", "root-password": UNKNOWN},
            }),
        ),
        Case::template("check-placeholder-unresolved-in-a-file", json!({"file": "DIR/app.conf.in"}))
            .preparing(|machine| machine.write("app.conf.in", format!("user = app\nhash = {UNKNOWN}\n")))
            .with(&manifest),
    ]
}

/// Beside one of AWS, an entry of every other service that holds keys, with every field that sops writes.
const CLOUDS: &str = r#"    gcp_kms:
        - resource_id: projects/example/locations/global/keyRings/sops/cryptoKeys/sops-key
          created_at: "2026-01-02T03:04:05Z"
          enc: bm90IHJlYWw=
    hckms:
        - key_id: tr-west-1:11111111-2222-3333-4444-555555555555
          created_at: "2026-01-02T03:04:05Z"
          enc: bm90IHJlYWw=
    azure_kv:
        - vault_url: https://example.vault.azure.net
          name: sops-key
          version: 0123456789abcdef0123456789abcdef
          created_at: "2026-01-02T03:04:05Z"
          enc: bm90IHJlYWw
    hc_vault:
        - vault_address: https://vault.example.org:8200
          engine_path: sops
          key_name: first
          created_at: "2026-01-02T03:04:05Z"
          enc: vault:v1:bm90IHJlYWw=
"#;

/// The public key in a comment of a file of age identities.
fn public_age_key(file: &str) -> String {
    let text = text(&format!("fixtures/keys/{file}"));
    let line = text.lines().find_map(|line| line.strip_prefix("# public key: "));
    line.unwrap().to_owned()
}

fn public_ssh_key(file: &str) -> String {
    text(&format!("fixtures/keys/{file}"))
}

/// The same, of which files a host with certain public keys could open.
fn checks_of_a_host() -> Vec<Case> {
    let sopsfile = ["-check-mode=sopsfile", "DIR/manifest.json"];
    let of = |name, fixture: &'static str, recipients: &[String]| {
        let key = if fixture.ends_with("shamir.yaml") { "user" } else { "api" };
        let recipients = recipients.to_vec();
        Case::new(name, move |machine| {
            machine.copy(&format!("fixtures/{fixture}"), "secrets.yaml");
            machine.manifest(
                json!({"secrets": [secret("db/password", key, "secrets.yaml")], "hostRecipients": recipients}),
            );
        })
        .with(&sopsfile)
    };
    let ed25519 = public_ssh_key("sample_host_ed25519.pub");
    let stranger = public_ssh_key("stranger_ed25519.pub");
    vec![
        of("check-host-key-missing", "recipients/ssh-to-age.yaml", std::slice::from_ref(&stranger)),
        of("check-host-age-key-missing", "recipients/ssh-ed25519.yaml", &[public_age_key("group-1.txt")]),
        of("check-host-rsa-key-missing", "recipients/ssh-to-age.yaml", &[public_ssh_key("host_rsa.pub")]),
        of(
            "check-host-several-keys-missing",
            "recipients/only-strangers.yaml",
            &[ed25519.clone(), public_age_key("group-1.txt")],
        ),
        of(
            "check-host-one-group-short",
            "sops/3.13.3/shamir.yaml",
            &[public_age_key("group-1.txt"), stranger.clone()],
        ),
        of("check-host-only-pgp", "recipients/only-pgp.yaml", std::slice::from_ref(&ed25519)),
        Case::new("check-host-only-kms", {
            let ed25519 = ed25519.clone();
            move |machine| {
                let file = text("fixtures/recipients/kms-beside-age.yaml");
                let (before, rest) = file.split_once("    age:\n").unwrap();
                let (_, after) = rest.split_once("    lastmodified:").unwrap();
                machine.write("secrets.yaml", format!("{before}    lastmodified:{after}"));
                machine.manifest(
                    json!({"secrets": [secret("api", "api", "secrets.yaml")], "hostRecipients": [ed25519]}),
                );
            }
        })
        .with(&sopsfile),
        Case::new("check-host-of-several-files", {
            let host = public_ssh_key("host_ed25519.pub");
            move |machine| {
                machine.copy("fixtures/recipients/ssh-to-age.yaml", "mine.yaml");
                machine.copy("fixtures/recipients/only-pgp.yaml", "admin.yaml");
                machine.copy("fixtures/sops/3.13.3/rich.yaml", "web.yaml");
                machine.manifest(json!({"hostRecipients": [host], "secrets": [
                    secret("mine", "api", "mine.yaml"), secret("admin", "api", "admin.yaml"),
                    secret("web", "plain", "web.yaml"), secret("web-2", "number", "web.yaml"),
                ]}));
            }
        })
        .with(&sopsfile),
        of(
            "check-host-recipients-malformed",
            "recipients/ssh-to-age.yaml",
            &[
                "web1".to_owned(),
                "ssh-ed25519 AAAA".to_owned(),
                "age1nothing".to_owned(),
                public_ssh_key("host_ecdsa.pub"),
                text("fixtures/keys/age.txt"),
                "# my host\n".to_owned(),
            ],
        ),
        Case::new("check-host-with-a-name", {
            let scan = format!(
                "# web1:22 SSH-2.0-OpenSSH_9.9\nweb1 {}\nweb1 {stranger}",
                public_ssh_key("host_ecdsa.pub").trim()
            );
            move |machine| {
                machine.copy("fixtures/sops/3.13.3/shamir.yaml", "secrets.yaml");
                let host = [public_age_key("group-1.txt"), scan.clone()];
                let secrets = [secret("db/password", "user", "secrets.yaml")];
                machine.manifest(json!({"secrets": secrets, "hostRecipients": host, "hostName": "web1"}));
            }
        })
        .with(&sopsfile),
        of(
            "check-host-key-of-another-kind",
            "recipients/ssh-to-age.yaml",
            &[format!("web1 {}", public_ssh_key("host_ecdsa.pub"))],
        ),
        Case::new("check-host-recipients-no-list", |machine| {
            machine.manifest(json!({"hostRecipients": "age1x"}));
        })
        .with(&sopsfile),
    ]
}

/// A sops file of `tests/` without the line of its MAC.
fn without_mac(fixture: &str) -> String {
    let text = text(fixture);
    let lines = text.lines().filter(|line| !line.starts_with("sops_mac=") && !line.starts_with("mac "));
    let without = lines.collect::<Vec<_>>().join("\n") + "\n";
    assert_ne!(without, text);
    without
}

fn directory() -> PathBuf {
    repository("tests/transcripts")
}

#[expect(clippy::disallowed_methods, reason = "the one who runs the tests says so in the environment")]
fn is_update() -> bool {
    std::env::var_os("UPDATE_TRANSCRIPTS").is_some()
}

/// They are installed as documents of the file's format.
#[test]
fn a_mapping_and_a_list_pass_the_check_as_a_value_does() {
    for (file, format) in [("rich.yaml", "yaml"), ("rich.json", "json")] {
        for key in ["plain", "nested", "nested/deep", "nested/list", "nested/list/0"] {
            let machine = Machine::new();
            machine.copy(&format!("fixtures/sops/3.13.3/{file}"), "secrets");
            let mut secret = secret("db/password", key, "secrets");
            secret["format"] = json!(format);
            machine.manifest(json!({"secrets": [secret]}));
            let done =
                output(machine.command("sops-activate", &["-check-mode=sopsfile", "DIR/manifest.json"]));
            assert!(done.status.success() && done.stderr.is_empty(), "{key}: {done:?}");
        }
    }
}

#[test]
fn owners_are_checked_where_the_activation_looks_for_them_and_all_are_declared() {
    let checked = |flags: &[&'static str], fields: Value| {
        let machine = Machine::new();
        let mut manifest = undeclared();
        for (name, value) in fields.as_object().unwrap() {
            manifest[name] = value.clone();
        }
        machine.manifest(manifest);
        output(
            machine
                .command("sops-activate", &[flags, &["-check-mode=manifest", "DIR/manifest.json"]].concat()),
        )
    };
    let passes = |flags: &[&'static str], fields: Value| {
        let done = checked(flags, fields);
        done.status.success() && done.stderr.is_empty()
    };
    let declared = json!({"users": ["nginx", "postgres", "posgres", "ldap-alice", "1000"], "groups": ["posgres", "keys", "nginy"]});
    assert!(!passes(&[], json!({})));
    assert!(!passes(&[], json!({"accounts": {"users": []}})));
    assert!(passes(&[], json!({"accounts": declared})));
    assert!(passes(&[], json!({"accounts": null})));
    assert!(passes(&[], json!({"accounts": {"users": null}})));
    assert!(passes(&["-ignore-passwd"], json!({})));
    assert!(passes(&[], json!({"userMode": true})));
}

/// Without a private key anywhere.
#[test]
fn the_build_passes_when_the_host_has_a_key_in_any_form_that_files_name() {
    let groups = ["group-1.txt", "group-2.txt"].map(public_age_key).to_vec();
    let ed25519 = vec![public_ssh_key("host_ed25519.pub")];
    let rsa = vec![public_ssh_key("host_rsa.pub")];
    let derived = vec![text("fixtures/keys/host_ed25519.age")];
    let both = vec![[ed25519.concat(), "# and\n".into(), rsa.concat()].concat()];
    let pgp = cfg!(feature = "pgp");
    for (file, host, opens) in [
        ("recipients/ssh-to-age.yaml", &ed25519, true),
        ("recipients/ssh-to-age.yaml", &derived, true),
        ("recipients/ssh-to-age.yaml", &both, true),
        ("recipients/ssh-to-age.yaml", &rsa, false),
        ("recipients/ssh-to-age.yaml", &Vec::new(), true),
        ("recipients/ssh-ed25519.yaml", &ed25519, true),
        ("recipients/ssh-ed25519.yaml", &derived, false),
        ("recipients/ssh-rsa.yaml", &rsa, true),
        ("recipients/ssh-rsa.yaml", &ed25519, false),
        ("recipients/host-rsa-aes256.yaml", &rsa, pgp),
        ("recipients/host-rsa-aes256.yaml", &ed25519, false),
        ("sops/3.13.3/shamir.yaml", &groups, true),
        ("sops/3.13.3/shamir.yaml", &groups[..1].to_vec(), false),
    ] {
        let machine = Machine::new();
        machine.copy(&format!("fixtures/{file}"), "secrets.yaml");
        let secrets = [secret("file", "", "secrets.yaml")];
        machine.manifest(json!({"secrets": secrets, "hostRecipients": host}));
        let done = output(machine.command("sops-activate", &["-check-mode=sopsfile", "DIR/manifest.json"]));
        assert_eq!(done.status.success(), opens, "{file} {host:?}: {done:?}");
        // Nothing is read there for it, and a host's activation asks no such thing.
        let manifest =
            output(machine.command("sops-activate", &["-check-mode=manifest", "DIR/manifest.json"]));
        assert!(manifest.status.success(), "{file}: {manifest:?}");
    }
}

#[test]
fn every_failure_of_a_check_ends_with_what_to_do() {
    for case in
        [checks(), checks_of_files(), checks_of_plans(), checks_of_a_host(), plans()].into_iter().flatten()
    {
        if !case.arguments.iter().any(|argument| argument.starts_with("-check-mode")) {
            continue;
        }
        let Some((_, output)) = case.run() else { continue };
        let text = String::from_utf8(output.stderr).unwrap();
        let start = format!("{}: error: ", case.program);
        for problem in text.split(&start).skip(1) {
            assert_eq!(problem.matches("\nhelp: ").count(), 1, "{}: {problem}", case.name);
        }
    }
}

#[test]
fn every_failure_reads_as_reviewed() {
    let runs = cases()
        .into_iter()
        .filter_map(|case| case.run().map(|(machine, output)| case.review(&machine, &output)));
    let differing: Vec<String> = runs.flatten().collect();
    assert!(differing.is_empty(), "{} transcripts differ:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn every_transcript_has_its_run_and_no_two_the_same() {
    let mut cases = cases();
    cases.push(hanging_gpg());
    let names: BTreeSet<String> = cases.iter().map(|case| format!("{}.txt", case.name)).collect();
    assert_eq!(names.len(), cases.len());
    let files: BTreeSet<String> = fs::read_dir(directory())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, names);
}

#[test]
fn every_failure_fails_under_the_programs_name_and_in_the_form_of_the_house() {
    for case in cases() {
        let Some((_, output)) = case.run() else { continue };
        assert!(matches!(output.status.code(), Some(1 | 2)), "{}: {}", case.name, output.status);
        assert!(output.stdout.is_empty(), "{}", case.name);
        let text = String::from_utf8(output.stderr).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("{}: ", case.program)), "{}: {first}", case.name);
        assert!(text.contains(&format!("{}: error: ", case.program)), "{}", case.name);
        for line in text.lines().filter(|_| output.status.code() == Some(1)) {
            assert!(!line.chars().any(char::is_control), "{}: {line:?}", case.name);
            assert!(!line.ends_with('.'), "{}: {line}", case.name);
        }
    }
}
