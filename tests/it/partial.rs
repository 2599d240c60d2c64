//! One secret fails beside good ones: every cause in every kind of run.
//!
//! What is seen is a table, `docs/reference/partial-failure.md`, which is there to be read. `UPDATE_PARTIAL=1 cargo test
//! --test it partial` writes it anew.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use crate::machine::repository;
use crate::server::{
    API_KEY, Answer, FILE, Machine, USER, answer, manifest, placeholder, secret, template, with,
};

/// Where the table is.
const PAGE: &str = "docs/reference/partial-failure.md";

/// What is wrong with a secret `bad`, or with a template of that name.
struct Cause {
    name: &'static str,
    /// Fields of the secret that make it fail; of the template when it is one.
    fields: Value,
    is_template: bool,
}

fn causes() -> Vec<Cause> {
    let secret = |name, fields| Cause { name, fields, is_template: false };
    let unresolved = format!("<SOPS:{}:PLACEHOLDER>", "0".repeat(64));
    vec![
        secret("the sops file is missing", json!({"sopsFile": "/mnt/none.yaml"})),
        secret("it is no sops file", json!({"sopsFile": "/mnt/plain.yaml"})),
        secret(
            "no key opens it",
            json!({"sopsFile": "/mnt/fixtures/recipients/only-strangers.yaml", "key": "value"}),
        ),
        secret("the key is missing", json!({"key": "no-such-key"})),
        secret("the MAC is broken", json!({"sopsFile": "/mnt/tampered.yaml"})),
        secret("the owner is unknown", json!({"owner": "bob"})),
        secret("the group is unknown", json!({"group": "bob"})),
        Cause {
            name: "a placeholder is unresolved",
            fields: json!({"content": unresolved}),
            is_template: true,
        },
    ]
}

/// The manifest with `bad` as it should be, or as `cause` makes it. Its good neighbours have the value of `key`.
fn wanted(cause: &Cause, fails: bool, key: &str) -> Value {
    let bad = json!({"path": "/var/lib/bad", "owner": "alice", "group": "app", "mode": "0440",
                     "restartUnits": ["bad.service", "both.service"]});
    let good = with(secret("good", key), json!({"restartUnits": ["good.service", "both.service"]}));
    let fields = if fails { cause.fields.clone() } else { json!({}) };
    let other = template("of-good", &placeholder("good"));
    let manifest = if cause.is_template {
        manifest(&[good], &[with(with(template("bad", &placeholder("good")), bad), fields), other])
    } else {
        let dependent =
            with(template("of-bad", &placeholder("bad")), json!({"restartUnits": ["of-bad.service"]}));
        manifest(&[good, with(with(secret("bad", key), bad), fields)], &[dependent, other])
    };
    with(manifest, json!({"logging": {"secretChanges": true}}))
}

/// How one run of a kind is seen on a machine.
struct Run<'m> {
    machine: &'m Machine,
    cause: &'m Cause,
}

const FOR_USERS: &str = "-ignore-passwd";

impl Run<'_> {
    fn bad(&self) -> &'static str {
        if self.cause.is_template { "rendered/bad" } else { "bad" }
    }

    fn activate(&self, manifest: &Value, flags: &str, environment: &[(&str, &str)]) -> Answer {
        self.machine.write("/mnt/manifest.json", manifest.to_string());
        let run = format!("umask 022; exec sops-install-secrets {flags} /mnt/manifest.json");
        answer(self.machine.command(&run).envs(environment.iter().copied()))
    }

    /// The failing run, which must end with its table.
    fn fail(&self, key: &str) {
        self.check_table(&self.activate(&wanted(self.cause, true, key), "", &[]));
    }

    fn check_table(&self, ran: &Answer) {
        assert_eq!(ran.code, Some(1), "{}: {ran:?}", self.cause.name);
        let title = if self.cause.is_template { "template 'bad'" } else { "secret 'bad'" };
        let (_, table) = ran.stderr.rsplit_once("error: ").unwrap();
        assert!(table.lines().count() > 1, "{}: {ran:?}", self.cause.name);
        assert!(table.lines().next().unwrap().contains(" secrets and templates "), "{table}");
        assert!(table.lines().skip(1).any(|row| row.starts_with(&format!("  {title} "))), "{table}");
        assert!(!ran.stderr.contains(API_KEY), "a secret is told: {ran:?}");
    }

    /// What is at a path: its value by name, and who may read it.
    fn at(&self, path: &str) -> String {
        let seen = self.machine.shell(&format!(
            "if test -e {path}; then stat -L -c '%a %U:%G' {path}; cat {path}; elif test -L {path}; then echo dangling; else echo absent; fi"
        ));
        match seen.split_once('\n') {
            Some((access, value)) => {
                let value = match value {
                    API_KEY => "old value",
                    USER => "new value",
                    other => panic!("{path}: {other}"),
                };
                format!("{value}, `{access}`")
            }
            None => seen,
        }
    }

    /// That the good ones have the new value.
    fn check_good(&self, value: &str) {
        let values = "cat /run/secrets/good /run/secrets/rendered/of-good";
        assert_eq!(self.machine.shell(values), value.repeat(2), "{}", self.cause.name);
    }

    /// That a run which fails in the same way again writes nothing at all.
    fn check_again(&self, key: &str) {
        let before = self.machine.snapshot();
        self.fail(key);
        let changed = self.machine.snapshot();
        let lines = |text: &str| {
            // The manifest was written by this test.
            text.lines().filter(|line| !line.starts_with("/mnt")).map(str::to_owned).collect::<Vec<_>>()
        };
        let (before, after) = (lines(&before), lines(&changed));
        let other: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
        assert!(other.is_empty() && before.len() == after.len(), "{}: {other:?}", self.cause.name);
    }

    fn told(&self) -> String {
        let units =
            self.machine.shell("cat /run/nixos/*-list 2> /mnt/errors | tr '\\n' ' '; rm -f /run/nixos/*");
        if units.is_empty() { "nothing told".to_owned() } else { format!("told: {units}") }
    }

    fn number(&self) -> String {
        self.machine.shell("basename $(readlink /run/secrets)")
    }
}

/// The cells of a row, in the order of the columns.
fn row(machine: &Machine, cause: &Cause) -> [String; 6] {
    let run = Run { machine, cause };
    let clear = || {
        machine.shell("umount /run/secrets.d; rm -rf /run/* /var/lib/bad; mkdir /run/nixos");
    };
    let own = format!("/run/secrets/{}", run.bad());

    clear();
    run.fail("database/user");
    run.check_good(USER);
    let first = run.at(&own);
    let first_link = run.at("/var/lib/bad");
    assert_eq!(first_link, first, "a link leads to what is there, and there is none to what is not");
    assert_eq!(run.told(), "nothing told");
    run.check_again("database/user");
    assert_eq!(run.number(), "1");
    assert_eq!(run.activate(&wanted(cause, false, "database/user"), "", &[]).code, Some(0));
    assert!(run.told().contains("bad.service"), "healed, and told");

    clear();
    assert_eq!(run.activate(&wanted(cause, false, "api_key"), "", &[]), Answer::silent());
    let environment = [("NIXOS_ACTION", "dry-activate")];
    let dry = run.activate(&wanted(cause, true, "database/user"), "", &environment);
    assert!(dry.stdout.starts_with("would modify secret") && dry.stdout.contains("good"), "{dry:?}");
    assert_eq!((run.at(&own), run.number()), ("old value, `440 alice:app`".into(), "1".into()));
    let would = if dry.code == Some(0) {
        "no failure: owners are not looked up"
    } else {
        run.check_table(&dry);
        assert!(dry.stderr.contains(" would be kept ") && !dry.stdout.contains("bad"), "{dry:?}");
        "would be kept"
    };
    let dry = format!("{would}; {}", run.told());

    run.fail("database/user");
    run.check_good(USER);
    assert_eq!(run.number(), "2");
    let switch = format!("{}; {}", run.at(&own), run.told());
    let link = run.at("/var/lib/bad");
    assert_eq!(link, run.at(&own), "the link leads there still");
    let of_bad = if cause.is_template { "–".to_owned() } else { run.at("/run/secrets/rendered/of-bad") };
    run.check_again("database/user");
    assert_eq!(run.number(), "2");
    assert_eq!(run.activate(&wanted(cause, false, "database/user"), "", &[]).code, Some(0));
    assert_eq!(run.at(&own), "new value, `440 alice:app`", "healed");
    assert!(run.told().contains("bad.service"), "healed, and told");

    clear();
    machine.shell("mv /etc/passwd /etc/passwd.away; mv /etc/group /etc/group.away");
    let ran = run.activate(&wanted(cause, true, "database/user"), FOR_USERS, &[]);
    machine.shell("mv /etc/passwd.away /etc/passwd; mv /etc/group.away /etc/group");
    run.check_good(USER);
    let for_users = match ran.code {
        Some(0) => format!("no failure: {}", run.at(&own)),
        _ => {
            run.check_table(&ran);
            run.at(&own)
        }
    };
    [first, switch, dry, for_users, of_bad, format!("{first_link} / {link}")]
}

const HEAD: &str = "# One secret fails beside good ones

Written by a test (`tests/it/partial.rs`), which makes each of these failures in each kind of run. A secret `bad` belongs to
`alice:app` with mode 0440 and has a link at a path of its own; a template `of-bad` needs it, and the last row is a template that
fails itself. On a switch the values of all secrets change, too. Not in the table, because it is the same in every cell: the good
secrets and the templates of good secrets are installed, the exit status is 1 (but for *no failure*), a table at the end of standard
error names what failed, what it is now and why, and the same run once more writes nothing. When the cause is gone, the next run
installs the new value and tells the units.

`bad.service` is named by the bad secret, `good.service` by a good one, `both.service` by both, and `of-bad.service` by the template that
needs the bad one.

";

const COLUMNS: [&str; 7] = [
    "cause",
    "first boot",
    "switch",
    "dry-activate",
    "for users (`-ignore-passwd`)",
    "dependent template, on the switch",
    "link at a custom path: first boot / switch",
];

#[test]
fn every_cause_in_every_kind_of_run_concerns_only_the_secret_that_fails() {
    let Some(machine) = Machine::new() else { return };
    let source = fs::read_to_string(repository("tests/fixtures/sample/secrets.yaml")).unwrap();
    assert!(FILE.ends_with("sample/secrets.yaml"));
    machine.write("/mnt/tampered.yaml", source.replace("lastmodified: \"2026-", "lastmodified: \"2025-"));
    machine.write("/mnt/plain.yaml", "api_key: text\n");
    let mut page = HEAD.to_owned();
    writeln!(page, "| {} |\n|{}", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len())).unwrap();
    for cause in causes() {
        writeln!(page, "| {} | {} |", cause.name, row(&machine, &cause).join(" | ")).unwrap();
    }
    #[expect(clippy::disallowed_methods, reason = "the one who runs the tests says so in the environment")]
    if std::env::var_os("UPDATE_PARTIAL").is_some() {
        fs::create_dir_all(repository("docs/reference")).unwrap();
        fs::write(repository(PAGE), &page).unwrap();
    }
    let expected = fs::read_to_string(repository(PAGE)).unwrap_or_default();
    assert!(page == expected, "{PAGE} says otherwise:\n{page}");
}

/// One good secret, and one whose key is not there, with fields of its own.
fn one_bad(good_key: &str, fields: Value) -> Value {
    let good = with(secret("good", good_key), json!({"restartUnits": ["good.service"]}));
    manifest(&[good, with(secret("bad", "none"), fields)], &[])
}

#[test]
fn what_stands_at_the_path_of_an_absent_secret_is_let_be_until_it_comes() {
    let Some(machine) = Machine::new() else { return };
    let path = json!({"path": "/var/lib/bad/key"});
    for stands in ["ln -s /run/secrets/bad /var/lib/bad/key", "echo mine > /var/lib/bad/key", "true"] {
        machine.shell(&format!("rm -rf /var/lib/bad; mkdir /var/lib/bad; {stands}"));
        let look = || machine.shell("find /var/lib/bad -printf '%p %y%m %i %T@ %C@ %l\\n'");
        let before = look();
        assert_eq!(machine.run(&one_bad("api_key", path.clone())).code, Some(1), "{stands}");
        assert_eq!(look(), before, "{stands}");
    }
    machine.shell("rmdir /var/lib/bad");
    assert_eq!(machine.run(&one_bad("api_key", path.clone())).code, Some(1));
    let made = machine.shell("test ! -e /var/lib/bad || echo made");
    assert_eq!(made, "", "no directory is made for what is not there");
    machine.activate(&one_bad("api_key", with(path.clone(), json!({"key": "api_key"}))));
    assert_eq!(machine.shell("cat /var/lib/bad/key"), API_KEY);
    // The path of one that is kept may be another; the good value is to be found there.
    assert_eq!(machine.run(&one_bad("api_key", json!({"path": "/var/lib/bad/other"}))).code, Some(1));
    assert_eq!(machine.shell("cat /var/lib/bad/other"), API_KEY);
}

#[test]
fn where_everything_fails_nothing_is_made_and_what_is_live_stays() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir /run/nixos");
    let without_keys = |mut manifest: Value| {
        manifest["ageSshKeyPaths"] = json!(["/mnt/no-key"]);
        manifest
    };
    let both = |key| one_bad(key, json!({"key": key, "restartUnits": ["bad.service"]}));
    let before = machine.tree("/run");
    let ran = machine.run(&without_keys(both("api_key")));
    assert_eq!(ran.code, Some(1));
    let table = "error: 2 of 2 secrets failed\n  \
                 secret 'good'   absent   cannot open '/mnt/fixtures/sample/secrets.yaml': no key on this machine opens it\n  \
                 secret 'bad'    absent   cannot open '/mnt/fixtures/sample/secrets.yaml': no key on this machine opens it\n";
    assert!(ran.stderr.ends_with(table), "{ran:?}");
    assert_eq!(machine.tree("/run"), before);
    machine.activate(&both("api_key"));
    assert_eq!(machine.shell("ls /run/nixos"), "", "the first secrets that come are the first activation");
    let before = machine.tree("/run");
    let ran = machine.run(&without_keys(both("database/user")));
    assert_eq!((ran.code, ran.stderr.matches(" kept as it was ").count()), (Some(1), 2), "{ran:?}");
    assert_eq!(machine.tree("/run"), before);
    // What the manifest does not want any more goes all the same.
    let ran = machine.run(&without_keys(manifest(&[secret("good", "api_key")], &[])));
    assert!(ran.stderr.ends_with("  secret 'good'   kept as it was   cannot open '/mnt/fixtures/sample/secrets.yaml': no key on this machine opens it\n"), "{ran:?}");
    assert_eq!(
        machine.shell("readlink /run/secrets; ls /run/secrets/; cat /run/secrets/good"),
        format!("/run/secrets.d/2\ngood\n{API_KEY}")
    );
}

#[test]
fn a_kept_file_goes_through_many_generations_with_the_access_that_it_has() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&one_bad(
        "api_key",
        json!({"key": "api_key", "owner": "alice", "name": "d/bad", "path": "/run/secrets/d/bad"}),
    ));
    machine.shell("chmod 0404 /run/secrets/d/bad");
    let look = || machine.shell("stat -c '%a %U %i' /run/secrets/d/bad; cat /run/secrets/d/bad");
    let before = look();
    for (number, key) in [(2, "database/user"), (3, "api_key"), (4, "database/user")] {
        let moved = json!({"name": "d/bad", "path": "/run/secrets/d/bad", "mode": "0777"});
        assert_eq!(machine.run(&one_bad(key, moved)).code, Some(1));
        assert_eq!(machine.shell("ls /run/secrets.d; ls -A /run/secrets/d"), format!("{number}\nbad"));
        assert_eq!(look(), before);
    }
    // What is gone, or is no file, cannot be kept.
    for garbled in [
        "rm /run/secrets/d/bad; mkfifo /run/secrets/d/bad",
        "rm -f /run/secrets/d/bad",
        "ln -s /etc/shadow /run/secrets/d/bad",
    ] {
        machine.shell(&format!("mkdir -p /run/secrets/d; {garbled}"));
        let ran = machine.run(&one_bad("api_key", json!({"name": "d/bad", "path": "/run/secrets/d/bad"})));
        assert!(ran.stderr.contains("  secret 'd/bad'   absent   "), "{garbled}: {ran:?}");
        assert_eq!(machine.shell("find /run/secrets/ -name bad"), "", "{garbled}");
    }
}

#[test]
fn an_owner_who_cannot_be_asked_for_keeps_value_and_access() {
    let Some(machine) = Machine::new() else { return };
    if machine.shell("command -v strace").is_empty() {
        eprintln!("skipped: no strace");
        return;
    }
    let of_alice = |key| one_bad(key, json!({"key": key, "owner": "alice", "group": "app"}));
    machine.activate(&of_alice("api_key"));
    machine.write("/mnt/manifest.json", of_alice("database/user").to_string());
    let ran = answer(&mut machine.command(
        "strace -qqq -o /dev/null -P /etc/passwd -e inject=openat:error=EIO sops-install-secrets /mnt/manifest.json",
    ));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let row =
        "  secret 'bad'   kept as it was   cannot find user 'alice': the lookup failed: EIO: I/O error\n";
    assert!(ran.stderr.ends_with(row), "{ran:?}");
    let seen = "cat /run/secrets/good /run/secrets/bad; stat -c ' %a %U:%G' /run/secrets/bad";
    assert_eq!(machine.shell(seen), format!("{USER}{API_KEY} 400 alice:app"));
}
