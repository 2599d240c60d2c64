//! Machines without keys: every secret is a dummy, and all else is as with real ones.

use serde_json::{Value, json};

use sops_activate::template::quoted_placeholders;

use crate::server::{
    API_KEY, Answer, FILE, KEY, Machine, answer, manifest, placeholder, secret, template, with,
};

const WARNING: &str =
    "sops-install-secrets: warning: no secret is real: the manifest asks for dummies ('dummySecrets')\n";

fn dummies(secrets: &[Value], templates: &[Value]) -> Value {
    with(manifest(secrets, templates), json!({"dummySecrets": true}))
}

#[test]
fn dummies_have_the_names_owners_and_modes_of_secrets_and_are_in_templates() {
    let Some(machine) = Machine::new() else { return };
    let nested =
        json!({"owner": "alice", "group": "app", "mode": "0440", "path": "/etc/password", "key": "none"});
    let [(json, _), _] = quoted_placeholders("db/password");
    let wanted = dummies(
        &[secret("one", "one"), with(secret("db/password", "x"), nested)],
        &[template("conf", &format!("{} and {json}\n", placeholder("one")))],
    );
    assert_eq!(machine.run(&wanted), Answer::said("", WARNING));
    let installed = "cat /run/secrets/one; echo; cat /etc/password; echo; cat /run/secrets/rendered/conf";
    assert_eq!(
        machine.shell(installed),
        "dummy-value-of-one\ndummy-value-of-db/password\ndummy-value-of-one and \"dummy-value-of-db/password\""
    );
    assert_eq!(machine.shell("stat -L -c '%A %U:%G' /etc/password"), "-r--r----- alice:app");

    // The next run says it again, and changes nothing.
    let store = || machine.shell("find /run /etc/password -printf '%p %i %C@ %l\\n' | LC_ALL=C sort");
    let before = store();
    assert_eq!(machine.run(&wanted), Answer::said("", WARNING));
    assert_eq!(store(), before);
}

#[test]
fn no_key_and_no_sops_file_is_looked_at() {
    let Some(machine) = Machine::new() else { return };
    let absent = json!({"sopsFile": "/mnt/none.yaml"});
    let wanted = with(
        dummies(&[secret("one", "api_key"), with(secret("two", "two"), absent)], &[]),
        json!({"ageKeyFile": "/mnt/none.txt", "logging": {"keyImport": true}}),
    );
    machine.write("/mnt/manifest.json", wanted.to_string());
    let run = "strace -f -o /mnt/trace sops-install-secrets /mnt/manifest.json";
    let ran = answer(machine.command(run).env("SOPS_AGE_KEY_CMD", "touch /mnt/asked"));
    if ran.stderr.contains("strace") {
        eprintln!("skipped: there is no strace");
        return;
    }
    assert_eq!(ran, Answer::said("", WARNING));
    let traced = |path: &str| machine.shell(&format!("grep -c -F -e '\"{path}\"' /mnt/trace"));
    assert_eq!(traced("/mnt/manifest.json"), "2", "the program was not traced");
    for path in [FILE, KEY, "/mnt/none.yaml", "/mnt/none.txt"] {
        assert_eq!(traced(path), "0", "{path}");
    }
    assert_eq!(machine.shell("ls /mnt/asked 2>/dev/null"), "");
}

#[test]
fn an_unknown_owner_of_a_dummy_is_told_as_that_of_a_secret() {
    let Some(machine) = Machine::new() else { return };
    let wanted = dummies(&[secret("good", "x"), with(secret("bad", "x"), json!({"owner": "bob"}))], &[]);
    let ran = machine.run(&wanted);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("1 of 2 secrets failed"), "{}", ran.stderr);
    let access = "stat -L -c '%n %a %U' /run/secrets/*";
    assert_eq!(machine.shell(access), "/run/secrets/bad 400 root\n/run/secrets/good 400 root");
    let aborted = machine.run(&with(wanted, json!({"onFailure": "abort"})));
    assert!(aborted.stderr.contains("nothing is changed"), "{}", aborted.stderr);
}

#[test]
fn real_secrets_take_the_place_of_dummies() {
    let Some(machine) = Machine::new() else { return };
    let secrets = [secret("one", "api_key")];
    machine.run(&dummies(&secrets, &[]));
    machine.activate(&manifest(&secrets, &[]));
    assert_eq!(machine.shell("cat /run/secrets/one"), API_KEY);
}

#[test]
fn a_check_looks_into_the_files_all_the_same() {
    let Some(machine) = Machine::new() else { return };
    machine.write("/mnt/manifest.json", dummies(&[secret("one", "no-such-key")], &[]).to_string());
    let ran = answer(&mut machine.command("sops-install-secrets -check-mode=sopsfile /mnt/manifest.json"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("no-such-key"), "{}", ran.stderr);
}
