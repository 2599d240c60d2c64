//! Many runs at once: switches, timers and people start the program whenever they like.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::server::{API_KEY, Answer, Machine, USER, answer, manifest, placeholder, secret, template, with};

/// What the reader reads, a line for each path: the path, a tab, what may be there, a tab, what else may be there.
const READ: &str = "/mnt/read";
const STOP: &str = "/mnt/stop";
/// What the reader says when it has read everything once.
const READING: &str = "reader: reading";

/// Inside of a machine it opens every secret, again and again, until it is told to stop.
#[test]
#[ignore = "a part of another test, which starts it inside a namespace"]
fn reader() {
    let list = fs::read_to_string(READ).unwrap();
    let wanted: Vec<Vec<&str>> = list.lines().map(|line| line.split('\t').collect()).collect();
    let (mut rounds, mut faults) = (0, BTreeSet::new());
    let mut seen = BTreeSet::new();
    while !Path::new(STOP).exists() {
        for line in &wanted {
            match fs::read_to_string(line[0]) {
                Ok(found) if line[1..].contains(&found.as_str()) => {
                    seen.insert(format!("{} {found}", line[0]));
                }
                other => {
                    faults.insert(format!("{}: {other:?}", line[0]));
                }
            }
        }
        rounds += 1;
        if rounds == 1 {
            println!("{READING}");
        }
    }
    let faults: Vec<String> = faults.into_iter().collect();
    println!("reader: {rounds} rounds, {} seen, {} faults {}", seen.len(), faults.len(), faults.join("; "));
}

/// What everyone sees, by the path of a store.
fn store(name: &str, keys: [&str; 2]) -> Value {
    let at = |secret: Value, name: &str| with(secret, json!({"path": name}));
    let secrets: Vec<Value> = ["a", "b/c"]
        .iter()
        .zip(keys)
        .map(|(file, key)| at(secret(file, key), &format!("/run/{name}/{file}")))
        .chain([at(secret("linked", keys[0]), &format!("/etc/{name}/linked"))])
        .collect();
    let text = format!("{}{}", placeholder("a"), placeholder("a"));
    let templates = [at(template("t", &text), &format!("/run/{name}/rendered/t"))];
    let places =
        json!({"secretsMountPoint": format!("/run/{name}.d"), "symlinkPath": format!("/run/{name}")});
    with(manifest(&secrets, &templates), places)
}

#[test]
fn fifty_activations_at_once_end_and_a_reader_never_finds_a_secret_missing_empty_or_mixed() {
    let Some(machine) = Machine::new() else { return };
    let manifests = [
        store("secrets", ["api_key", "database/user"]),
        store("secrets", ["database/user", "api_key"]),
        store("secrets-for-users", ["api_key", "api_key"]),
    ];
    for (number, manifest) in manifests.iter().enumerate() {
        machine.write(&format!("/mnt/{number}.json"), manifest.to_string());
        let ran = answer(&mut machine.command(&format!("exec sops-activate /mnt/{number}.json")));
        assert_eq!(ran, Answer::silent());
    }
    let (key, user) = (format!("{API_KEY}{API_KEY}"), format!("{USER}{USER}"));
    let read = |path: &str, may_be: &[&str]| format!("{path}\t{}\n", may_be.join("\t"));
    let list = [
        read("/run/secrets/a", &[API_KEY, USER]),
        read("/run/secrets/b/c", &[API_KEY, USER]),
        read("/etc/secrets/linked", &[API_KEY, USER]),
        read("/run/secrets/rendered/t", &[&key, &user]),
        read("/run/secrets-for-users/a", &[API_KEY]),
        read("/run/secrets-for-users/b/c", &[API_KEY]),
        read("/etc/secrets-for-users/linked", &[API_KEY]),
        read("/run/secrets-for-users/rendered/t", &[&key]),
    ];
    machine.write(READ, list.concat());
    let program = std::env::current_exe().unwrap();
    let exec = format!("exec {} --exact concurrency::reader --ignored --nocapture", program.display());
    let mut reader = machine.command(&exec).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(reader.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains(READING)));
    let start = |arguments: String| {
        let mut command = machine.command(&format!("exec timeout 300 sops-activate {arguments}"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let runs: Vec<_> = (0..50).map(|number| start(format!("/mnt/{}.json", number % 3))).collect();
    let beside: Vec<_> = (0..12)
        .map(|number| match number % 3 {
            0 => {
                let mut dry = machine.command(&format!("exec sops-activate /mnt/{}.json", number % 2));
                dry.env("NIXOS_ACTION", "dry-activate");
                dry.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            }
            1 => start("-check-mode=sopsfile /mnt/1.json".to_owned()),
            _ => start("-check-mode=manifest /mnt/2.json".to_owned()),
        })
        .collect();
    for (number, run) in runs.into_iter().chain(beside).enumerate() {
        let ended = run.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        let waited = "sops-activate: waiting for another activation of '/run/secrets";
        assert!(said.lines().all(|line| line.starts_with(waited)), "{number}: {said}");
        assert_eq!(ended.status.code(), Some(0), "{number}: {said}");
    }
    machine.write(STOP, "");
    let said = said.find(|line| line.contains("reader: ")).unwrap();
    assert!(reader.wait().unwrap().success());
    eprintln!("{said}");
    assert!(said.contains(" 12 seen, 0 faults"), "{said}");
    // What is left is what one run leaves.
    let left = machine.shell(
        "ls -A /run /etc/secrets /etc/secrets-for-users; ls /run/secrets.d /run/secrets-for-users.d | wc -l",
    );
    assert_eq!(
        left,
        "/etc/secrets:\nlinked\n\n/etc/secrets-for-users:\nlinked\n\n/run:\nsecrets\nsecrets-for-users\n\
         secrets-for-users.d\nsecrets.d\n5"
    );
}

/// The two units make the same missing directory for their links, and neither finds the other's half made.
#[test]
fn two_stores_that_make_the_same_directory_at_once_both_succeed() {
    let Some(machine) = Machine::new() else { return };
    for (number, name) in ["secrets", "secrets-for-users"].into_iter().enumerate() {
        let at = |file: &str| {
            let path = format!("/var/new/{}/{file}-of-{name}", file.repeat(2));
            with(secret(file, "api_key"), json!({"path": path}))
        };
        let places =
            json!({"secretsMountPoint": format!("/run/{name}.d"), "symlinkPath": format!("/run/{name}")});
        let secrets: Vec<Value> = ["a", "b", "c", "d"].map(at).into();
        machine.write(&format!("/mnt/{number}.json"), with(manifest(&secrets, &[]), places).to_string());
    }
    for round in 0..20 {
        let start = |number: i32| {
            let mut command = machine.command(&format!("exec timeout 300 sops-activate /mnt/{number}.json"));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        for run in [start(0), start(1)] {
            let ended = run.wait_with_output().unwrap();
            assert_eq!(String::from_utf8(ended.stderr).unwrap(), "", "round {round}");
            assert_eq!(ended.status.code(), Some(0), "round {round}");
        }
        let made =
            machine.shell("stat -c %a:%u:%g /var/new /var/new/*; ls -A /var/new /var/new/* | grep -c of-");
        assert_eq!(made, "755:0:0\n755:0:0\n755:0:0\n755:0:0\n755:0:0\n8", "round {round}");
        machine.shell("umount /run/secrets.d /run/secrets-for-users.d; rm -rf /var/new /run/secrets*");
    }
}

/// At the limit the second run gives up with a message, and nothing of the first is touched.
#[test]
fn a_run_that_waits_longer_than_the_limit_says_so_and_changes_nothing() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&store("secrets", ["api_key", "api_key"]));
    let before = machine.tree("/run /etc/secrets");
    // Whoever may read the directory may hold its lock: root, and the members of the group keys.
    let hold = |groups: &str, script: &str| {
        let user = format!("setpriv --reuid 1501 --regid 1500 {groups}");
        format!("exec {user} flock /run/secrets.d sh -c '{script}'")
    };
    let refused = machine.shell(&hold("--groups 1502", "echo held"));
    assert!(refused.contains("Permission denied") && !refused.contains("held"), "{refused}");
    let mut holder = machine.command(&hold("--groups 96", "echo held; read go"));
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut said).unwrap();
    let waited = std::time::Instant::now();
    let ran = machine.run(&store("secrets", ["database/user", "api_key"]));
    assert_eq!(
        ran,
        Answer {
            code: Some(1),
            stdout: String::new(),
            stderr: "sops-install-secrets: waiting for another activation of '/run/secrets.d'\n\
                     sops-install-secrets: error: cannot lock '/run/secrets.d': another run has held it for 60 s\n\
                     help: wait until the other activation has ended, or stop it, and activate again\n"
                .into(),
        }
    );
    assert!((60..90).contains(&waited.elapsed().as_secs()), "{:?}", waited.elapsed());
    assert_eq!(machine.tree("/run /etc/secrets"), before);
    holder.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(holder.wait().unwrap().success());
    machine.activate(&store("secrets", ["database/user", "api_key"]));
}
