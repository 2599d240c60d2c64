//! The scenarios of sops-nix's own VM tests, replayed on a machine of their own with manifests as its module makes
//! them. `docs/reference/sops-nix-scenarios.md` says for each of their assertions which one of ours shows the same; the
//! last tests here hold that table to the sources. What needs a running systemd is shown by `tests/boot`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::machine::{repository, text};
use crate::server::{Answer, Machine, answer, with};

/// One file for all scenarios, and the keys of which each opens it.
const FILE: &str = "/mnt/fixtures/scenarios/secrets.yaml";
const AGE_KEY: &str = "/run/age-keys.txt";

/// An assertion of a scenario, by the name that the table gives it: `SCENARIO/WHAT`.
#[track_caller]
fn shows(name: &str, found: &str, expected: &str) {
    assert_eq!(found, expected, "{name}");
}

/// A secret as the module writes it when only its name is given.
fn secret(name: &str) -> Value {
    json!({
        "format": "yaml", "gid": 0, "group": null, "key": name, "mode": "0400", "name": name, "neededForUsers": false,
        "owner": null, "path": format!("/run/secrets/{name}"), "reloadUnits": [], "restartUnits": [],
        "sopsFile": FILE, "sopsFileHash": "0".repeat(64), "uid": 0
    })
}

/// What the module puts for the secret `test_key` in a template: the name's SHA-256.
const TEST_KEY: &str = "<SOPS:92488e1e3eeecdf99f3ed2ce59233efb4b4fb612d5655c0ce9ea52b5a502e655:PLACEHOLDER>";
const NESTED: &str = "<SOPS:627294fcdaa17694424d563759ba3707b84399b866342ed9c8b0d1b8c0e8fa42:PLACEHOLDER>";

/// A template as the module writes it: the content, and a file in its store with the same.
fn template(machine: &Machine, name: &str, content: &str) -> Value {
    let file = format!("/mnt/store-{name}");
    machine.write(&file, content);
    json!({
        "content": content, "file": file, "gid": 0, "group": null, "mode": "0400", "name": name, "owner": null,
        "path": format!("/run/secrets/rendered/{name}"), "reloadUnits": [], "restartUnits": [], "uid": 0
    })
}

/// A manifest with `ageKeyFile` and everything else as the module's defaults have it.
fn manifest(secrets: &[Value], templates: &[Value]) -> Value {
    // The module names every secret of the configuration, as soon as there is a template.
    let placeholders = if templates.is_empty() {
        json!({})
    } else {
        json!({"nested/test/file": NESTED, "test_key": TEST_KEY})
    };
    json!({
        "ageKeyFile": AGE_KEY, "ageSshKeyPaths": [], "gnupgHome": null, "keepGenerations": 1,
        "logging": {"keyImport": true, "secretChanges": true}, "placeholderBySecretName": placeholders,
        "secrets": secrets, "secretsMountPoint": "/run/secrets.d", "sshKeyPaths": [], "symlinkPath": "/run/secrets",
        "templates": templates, "useTmpfs": false, "userMode": false
    })
}

/// A machine with the accounts that the scenarios have, and the age key in its place.
fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    machine.write(
        "/etc/passwd",
        "root:x:0:0::/root:/bin/sh\nsomeuser:x:1000:1000::/var/empty:/bin/sh\ngpguser:x:998:65534::/var/empty:/bin/sh\n",
    );
    machine.write("/etc/group", "root:x:0:\nkeys:x:96:\nsomegroup:x:1000:\nnogroup:x:65534:\n");
    let put = format!("install -m 0700 /mnt/fixtures/keys/age.txt {AGE_KEY}");
    assert_eq!(machine.shell(&put), "");
    Some(machine)
}

/// The call of the module's activation script, in its environment: an empty `PATH`, a home that is not there, and what
/// `action` the switch is for.
fn script(machine: &Machine, manifest: &Value, action: &str) -> Answer {
    machine.write("/mnt/manifest.json", manifest.to_string());
    let call = format!(
        "umask 022; export HOME=/var/empty PATH= NIXOS_ACTION={action} SOPS_GPG_EXEC=/usr/bin/gpg; \
         exec /mnt/bin/sops-install-secrets /mnt/manifest.json"
    );
    answer(&mut machine.command(&call))
}

/// The first activation, which tells of nothing.
#[track_caller]
fn boot(machine: &Machine, manifest: &Value) {
    assert_eq!(script(machine, manifest, ""), Answer::silent());
}

#[cfg(feature = "pgp")]
#[test]
fn ssh_keys() {
    let Some(machine) = machine() else { return };
    let host_key = "/mnt/fixtures/keys/host_rsa";
    let manifest =
        with(manifest(&[secret("test_key")], &[]), json!({"ageKeyFile": null, "sshKeyPaths": [host_key]}));
    let ran = script(&machine, &manifest, "");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let told = format!("sops-install-secrets: Imported {host_key} as GPG key with fingerprint ");
    assert!(ran.stdout.starts_with(&told) && ran.stdout.lines().count() == 1, "{ran:?}");
    shows("ssh-keys/value", &machine.shell("cat /run/secrets/test_key"), "test_value");
}

#[test]
fn pruning() {
    let Some(machine) = machine() else { return };
    let keep = |number: u32| with(manifest(&[secret("test_key")], &[]), json!({"keepGenerations": number}));
    boot(&machine, &keep(0));
    let exists = |name: &str| machine.shell(&format!("test -d /run/secrets.d/{name} && echo yes || echo no"));
    machine.shell(
        "cd /run/secrets.d && mkdir $(seq 2 99) non-numeric && ln -fsn /run/secrets.d/99 /run/secrets",
    );
    assert_eq!(script(&machine, &keep(0), ""), Answer::said("adding secret: test_key\n", ""));
    shows(
        "pruning/generation-follows-the-link",
        &machine.shell("readlink /run/secrets"),
        "/run/secrets.d/100",
    );
    shows("pruning/zero-keeps-the-oldest", &exists("1"), "yes");
    shows("pruning/zero-keeps-all", &machine.shell("cd /run/secrets.d; ls -d */ | wc -l"), "101");
    shows("pruning/zero-keeps-what-has-no-number", &exists("non-numeric"), "yes");

    // There every activation makes a generation; here one that changes something does.
    machine.shell(": > /run/secrets/test_key");
    assert_eq!(script(&machine, &keep(10), "test"), Answer::said("modifying secret: test_key\n", ""));
    assert_eq!(machine.shell("readlink /run/secrets"), "/run/secrets.d/101");
    shows("pruning/ten-removes-the-eleventh", &exists("91"), "no");
    shows("pruning/ten-keeps-the-tenth", &exists("92"), "yes");
    shows("pruning/ten-keeps-what-has-no-number", &exists("non-numeric"), "yes");
    assert_eq!(
        machine.shell("cd /run/secrets.d; ls -d */ | wc -l"),
        "11",
        "92 to 101, and that without a number"
    );
}

#[test]
fn age_keys() {
    let Some(machine) = machine() else { return };
    let of_test_key =
        |name: &str, fields: Value| with(with(secret(name), json!({"key": "test_key"})), fields);
    let manifest = manifest(
        &[
            secret("test_key"),
            of_test_key("test_key_1001_1001", json!({"uid": 1001, "gid": 1001})),
            of_test_key("test_key_root_root", json!({})),
            of_test_key("test_key_someuser_root", json!({"uid": 1000})),
            of_test_key("test_key_someuser_somegroup", json!({"uid": 1000, "gid": 1000})),
        ],
        &[],
    );
    machine.shell("mkdir /run/secrets");
    boot(&machine, &manifest);
    shows("age-keys/directory-became-the-link", &machine.shell("readlink /run/secrets"), "/run/secrets.d/1");
    shows("age-keys/value", &machine.shell("cat /run/secrets/test_key"), "test_value");
    let owner = |name: &str, format: &str| machine.shell(&format!("stat -c '{format}' /run/secrets/{name}"));
    shows("age-keys/user-and-group-by-number", &owner("test_key_someuser_somegroup", "%u:%g"), "1000:1000");
    shows(
        "age-keys/user-and-group-by-name",
        &owner("test_key_someuser_somegroup", "%U:%G"),
        "someuser:somegroup",
    );
    shows("age-keys/only-the-user-by-number", &owner("test_key_someuser_root", "%u:%g"), "1000:0");
    shows("age-keys/only-the-user-by-name", &owner("test_key_someuser_root", "%U:%G"), "someuser:root");
    shows("age-keys/neither", &owner("test_key_root_root", "%U:%G"), "root:root");
    shows("age-keys/numbers-without-an-account", &owner("test_key_1001_1001", "%u:%g"), "1001:1001");
    shows("age-keys/numbers-without-a-name", &owner("test_key_1001_1001", "%U:%G"), "UNKNOWN:UNKNOWN");
}

#[test]
fn age_ssh_keys() {
    let Some(machine) = machine() else { return };
    // A key that the machine made for itself, which opens nothing, beside the host key.
    machine.shell("install -m 0600 /mnt/fixtures/keys/group-1.txt /run/testkey");
    let host_key = "/mnt/fixtures/keys/host_ed25519";
    let keys = json!({"ageKeyFile": "/run/testkey", "ageSshKeyPaths": [host_key]});
    let told = format!(
        "sops-install-secrets: Imported {host_key} as age key with fingerprint {}\n",
        text("fixtures/keys/host_ed25519.age").trim()
    );
    let ran = script(&machine, &with(manifest(&[secret("test_key")], &[]), keys), "");
    assert_eq!(ran, Answer::said("", &told));
    shows("age-ssh-keys/value", &machine.shell("cat /run/secrets/test_key"), "test_value");
}

#[test]
fn pgp_keys() {
    let Some(machine) = machine() else { return };
    if machine.shell("test -x /usr/bin/gpg || echo none") == "none" {
        eprintln!("skipped: no /usr/bin/gpg");
        return;
    }
    let gpg = "gpg --homedir /run/gpghome --batch --quiet";
    let import = "--import /mnt/fixtures/keys/pgp.asc > /dev/null 2>&1 && echo imported";
    let home = format!("mkdir -m 0700 /run/gpghome && {gpg} {import}");
    assert_eq!(machine.shell(&home), "imported");
    machine.shell("touch /run/existing-file");
    let of_the_user = json!({"owner": "gpguser", "group": "nogroup"});
    let manifest = manifest(
        &[
            with(secret("existing-file"), json!({"key": "test_key", "path": "/run/existing-file"})),
            with(secret("nested/test/file"), of_the_user.clone()),
            with(secret("test_key"), of_the_user),
        ],
        &[],
    );
    let manifest = with(manifest, json!({"ageKeyFile": null, "gnupgHome": "/run/gpghome"}));
    let ran = script(&machine, &manifest, "");
    // The agent would outlive the machine.
    machine.shell("gpgconf --homedir /run/gpghome --kill all");
    assert_eq!(ran, Answer::silent());
    shows("pgp-keys/value", &machine.shell("cat /run/secrets/test_key"), "test_value");
    let as_the_user = "setpriv --reuid 998 --regid 65534 --clear-groups -- cat /run/secrets/test_key";
    shows("pgp-keys/its-owner-can-read-it", &machine.shell(as_the_user), "test_value");
    shows("pgp-keys/nested-value", &machine.shell("cat /run/secrets/nested/test/file"), "another value");
    let leads_to = machine.shell("readlink -f /run/existing-file");
    shows("pgp-keys/existing-file-became-a-link", &leads_to, "/run/secrets.d/1/existing-file");
}

#[test]
fn templates() {
    let Some(machine) = machine() else { return };
    let for_users = json!({
        "neededForUsers": true, "path": "/run/secrets-for-users/nested/test/file"
    });
    let for_users = with(
        manifest(&[with(secret("nested/test/file"), for_users)], &[]),
        json!({
            "placeholderBySecretName": {"nested/test/file": NESTED, "test_key": TEST_KEY},
            "secretsMountPoint": "/run/secrets-for-users.d", "symlinkPath": "/run/secrets-for-users"
        }),
    );
    machine.write("/mnt/for-users.json", for_users.to_string());
    let ran = answer(&mut machine.command("exec sops-install-secrets -ignore-passwd /mnt/for-users.json"));
    assert_eq!(ran, Answer::silent());

    let value = format!("Test value: {TEST_KEY}\n");
    let lines = format!("A line that stays.\nThen a value: {TEST_KEY}\nAnd one more that stays.\n");
    let templates = [
        with(template(&machine, "test_default", &value), json!({"path": "/etc/externally/linked"})),
        with(template(&machine, "test_template", &lines), json!({"owner": "someuser", "group": "somegroup"})),
        with(template(&machine, "test_uid_gid", &value), json!({"uid": 420, "gid": 420})),
    ];
    boot(&machine, &manifest(&[secret("test_key")], &templates));
    let owner =
        |name: &str, format: &str| machine.shell(&format!("stat -c '{format}' /run/secrets/rendered/{name}"));
    shows("templates/owner-and-group", &owner("test_template", "%U:%G"), "someuser:somegroup");
    shows("templates/default-owner-and-group", &owner("test_default", "%U:%G"), "root:root");
    shows("templates/owner-and-group-by-number", &owner("test_uid_gid", "%u:%g"), "420:420");
    let content = |name: &str| machine.shell(&format!("cat /run/secrets/rendered/{name}; echo ."));
    let expected = "A line that stays.\nThen a value: test_value\nAnd one more that stays.\n.";
    shows("templates/every-line", &content("test_template"), expected);
    shows("templates/value", &content("test_default"), "Test value: test_value\n.");
    let leads_to = machine.shell("realpath /etc/externally/linked");
    shows("templates/link", &leads_to, "/run/secrets.d/1/rendered/test_default");
    let nested = machine.shell("cat /run/secrets-for-users/nested/test/file; ls -R /run/secrets | grep file");
    shows("templates/secret-for-users-beside-them", &nested, "another value");
}

/// What was told to switch-to-configuration, which then removes the lists.
fn lists(machine: &Machine) -> String {
    machine.shell(
        "cd /run/nixos; for list in *-list; do [ -e $list ] && echo $list: $(cat $list); done; rm -f *-list",
    )
}

const LISTED: &str = "activation-reload-list: reload-trigger.service\n\
                      activation-restart-list: restart-unit.service reload-unit.service";

#[test]
fn restart_and_reload() {
    let Some(machine) = machine() else { return };
    machine.shell("mkdir /run/nixos");
    let units = json!({
        "restartUnits": ["restart-unit.service", "reload-unit.service"], "reloadUnits": ["reload-trigger.service"]
    });
    let content = format!("a template\nwith a value: {TEST_KEY}\n");
    let test_template = with(template(&machine, "test_template", &content), units.clone());
    let manifest = with(
        manifest(&[with(secret("test_key"), units)], &[test_template]),
        json!({"placeholderBySecretName": {"test_key": TEST_KEY}}),
    );
    let switch = |action: &str| {
        let ran = script(&machine, &manifest, action);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        ran.stdout
    };
    boot(&machine, &manifest);
    shows("restart-and-reload/no-lists-after-boot", &lists(&machine), "");

    shows("restart-and-reload/unchanged-says-nothing", &switch("test"), "");
    shows("restart-and-reload/unchanged-lists-nothing", &lists(&machine), "");

    machine.shell(": > /run/secrets/test_key");
    switch("test");
    shows("restart-and-reload/changed-secret-lists-its-units", &lists(&machine), LISTED);
    machine.shell(": > /run/secrets/rendered/test_template");
    switch("test");
    shows("restart-and-reload/changed-template-lists-its-units", &lists(&machine), LISTED);

    machine.shell("rm /run/secrets/test_key /run/secrets/rendered/test_template");
    let said = "adding secret: test_key\nadding rendered secret: test_template\n";
    shows("restart-and-reload/says-what-it-adds", &switch("test"), said);
    machine.shell(": > /run/secrets/test_key; : > /run/secrets/rendered/test_template");
    let said = "modifying secret: test_key\nmodifying rendered secret: test_template\n";
    shows("restart-and-reload/says-what-it-modifies", &switch("test"), said);
    lists(&machine);
    machine.shell(": > /run/secrets/another_key; : > /run/secrets/rendered/another_template");
    let said = "removing secret: another_key\nremoving rendered secret: another_template\n";
    shows("restart-and-reload/says-what-it-removes", &switch("test"), said);
    shows("restart-and-reload/what-is-removed-lists-nothing", &lists(&machine), "");

    machine.shell("cd /run/secrets/; rm test_key rendered/test_template; : > another_key; : > rendered/another_template");
    let said = "would add secret: test_key\nwould remove secret: another_key\n\
                would add rendered secret: test_template\nwould remove rendered secret: another_template\n";
    shows("restart-and-reload/dry-says-what-it-would", &switch("dry-activate"), said);
    let dry_listed = LISTED.lines().map(|line| format!("dry-{line}")).collect::<Vec<_>>().join("\n");
    shows("restart-and-reload/dry-has-lists-of-its-own", &lists(&machine), &dry_listed);
    let files = || machine.shell("cd /run/secrets/; find . -type f | LC_ALL=C sort | tr '\\n' ' '");
    shows("restart-and-reload/dry-leaves-the-files", &files(), "./another_key ./rendered/another_template");
    switch("test");
    shows("restart-and-reload/then-really", &files(), "./rendered/test_template ./test_key");
    lists(&machine);

    machine.shell(": > /run/secrets/test_key");
    let said = switch("dry-activate");
    shows("restart-and-reload/dry-says-what-it-would-modify", &said, "would modify secret: test_key\n");
    let size = machine.shell("stat -Lc %s /run/secrets/test_key");
    shows("restart-and-reload/dry-leaves-the-value", &size, "0");
    let real = lists(&machine).lines().filter(|line| !line.starts_with("dry-")).count();
    shows("restart-and-reload/dry-lists-nothing-to-be-done", &real.to_string(), "0");
}

const TABLE: &str = "docs/reference/sops-nix-scenarios.md";

/// The lines that can fail in sops-nix's `checks/nixos-test.nix` at 56b2406.
const THEIRS: [(&str, &[u32]); 10] = [
    ("ssh-keys", &[78]),
    ("pruning", &[106, 107, 108, 109, 112, 113, 114, 116, 117, 122, 123, 124]),
    ("age-keys", &[181, 184, 185, 186, 187, 189, 190, 191, 192, 194, 195, 196, 197]),
    ("age-ssh-keys", &[226]),
    ("pgp-keys", &[273, 274, 276, 277, 278, 280, 281]),
    ("templates", &[346, 347, 348, 349, 350, 351, 358, 363, 365, 366, 369, 370]),
    (
        "restart-and-reload",
        &[
            456, 457, 458, 461, 464, 465, 466, 469, 472, 475, 476, 479, 482, 485, 488, 489, 492, 495, 496,
            497, 498, 504, 505, 506, 507, 513, 514, 515, 516, 523, 524, 525, 526, 527, 528, 537, 538, 539,
            540, 543, 544, 545, 546, 547, 551, 553, 554, 555, 559, 561, 562,
        ],
    ),
    ("user-passwords", USER_PASSWORDS),
    ("user-passwords-sysusers", USER_PASSWORDS),
    ("user-passwords-userborn", USER_PASSWORDS),
];
/// One script for three scenarios.
const USER_PASSWORDS: &[u32] = &[40, 42, 43, 44, 45, 46, 51, 52, 53];

struct Row {
    scenario: String,
    lines: Vec<u32>,
    ours: String,
}

fn table() -> Vec<Row> {
    let text = fs::read_to_string(repository(TABLE)).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [scenario, lines, _, ours] = cells[..] else { panic!("not four cells: {line}") };
        let lines = lines.split(", ").map(|number| number.parse().unwrap()).collect();
        Row { scenario: scenario.into(), lines, ours: ours.into() }
    });
    rows.collect()
}

#[test]
fn every_line_of_theirs_that_can_fail_is_in_the_table_once() {
    let mut found: Vec<(String, u32)> = table()
        .into_iter()
        .flat_map(|row| row.lines.into_iter().map(move |line| (row.scenario.clone(), line)))
        .collect();
    let mut expected: Vec<(String, u32)> = THEIRS
        .iter()
        .flat_map(|(scenario, lines)| lines.iter().map(|line| ((*scenario).to_owned(), *line)))
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// The names in `text` that follow one of `calls`, after any white space, and end at `end`.
fn names(text: &str, calls: &[&str], end: char) -> Vec<String> {
    let after = calls.iter().flat_map(|call| text.split(call).skip(1));
    let named = after.filter_map(|rest| {
        let rest = rest.trim_start();
        let rest = if end == '"' { rest.strip_prefix(end)? } else { rest };
        let name = rest.split(end).next()?;
        name.contains('/').then(|| name.to_owned())
    });
    named.collect()
}

#[test]
fn the_table_names_the_assertions_that_there_are() {
    let here = names(&text("it/scenarios.rs"), &["shows("], '"');
    let boot = names(&text("boot/run"), &["\n    shows ", "\n    shows_nothing "], ' ');
    for (test, made) in [("it", here), ("boot", boot)] {
        let once: BTreeSet<String> = made.iter().cloned().collect();
        assert_eq!(once.len(), made.len(), "a name of {test} was given twice: {made:?}");
        let mut listed = BTreeSet::new();
        for Row { scenario, ours, .. } in table() {
            let named = ours.split(';').filter_map(|part| part.trim().strip_prefix(&format!("`{test}`: ")));
            for name in named.flat_map(|part| part.split('`').skip(1).step_by(2)) {
                assert!(
                    name.starts_with(&format!("{scenario}/")),
                    "'{name}' is no assertion of '{scenario}'"
                );
                listed.insert(name.to_owned());
            }
        }
        assert_eq!(listed, once, "in {TABLE}, and in the sources of {test}");
        assert!(once.len() > 15);
    }
}

#[test]
fn what_is_in_no_test_says_why() {
    for Row { scenario, ours, .. } in table() {
        let shown = ours.starts_with("`it`: `") || ours.starts_with("`boot`: `");
        assert!(shown || ours.starts_with("cannot run here: "), "{scenario}: {ours}");
    }
}
