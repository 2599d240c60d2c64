//! `sops-activate doctor` on machines that are broken in one way each, and on healthy ones. What it prints is compared
//! with `tests/doctor/`, which is there to be read; its last line, the thing to do, is asserted here as well.
//!
//! `UPDATE_TRANSCRIPTS=1 cargo test --test it doctor` writes the texts anew.

pub mod machines;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::machine::{repository, text};
use crate::server::{Answer, FILE, KEY, Machine, answer};
use machines::{cases, of_users_unit, one};

fn directory() -> PathBuf {
    repository("tests/doctor")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the one who runs the tests says so in the environment")]
fn on_every_machine_it_prints_what_was_reviewed_and_ends_with_the_thing_to_do() {
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut differing = Vec::new();
    for case in cases() {
        let Some((_, answer)) = case.run("") else { return };
        let Answer { code, stdout, stderr } = answer;
        assert_eq!(stderr, "", "{}", case.name);
        let path = directory().join(format!("{}.txt", case.name));
        // Kernels before 6.4 do not know the option.
        let lines = stdout.lines().filter(|line| !line.contains("is a tmpfs without 'noswap'"));
        let stdout = lines.collect::<Vec<_>>().join("\n");
        let transcript =
            format!("$ sops-activate doctor /mnt/manifest.json\n{stdout}\nexit {}\n", code.unwrap());
        if update {
            fs::create_dir_all(directory()).unwrap();
            fs::write(&path, &transcript).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if transcript != expected {
            differing.push(format!("--- {}\n{expected}+++ now\n{transcript}", case.name));
        }
        assert_eq!(stdout.lines().last(), Some(case.last_line), "{}: {stdout}", case.name);
        assert_eq!(code, Some(i32::from(!case.is_healthy())), "{}: {stdout}", case.name);
    }
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn every_text_has_its_machine() {
    let names: BTreeSet<String> = cases().iter().map(|case| format!("{}.txt", case.name)).collect();
    assert_eq!(names.len(), cases().len());
    let files = fs::read_dir(directory()).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, names);
}

#[test]
fn json_says_the_same_as_the_text() {
    for case in cases() {
        let Some((_, told)) = case.run("--json") else { return };
        let found: Value = serde_json::from_str(&told.stdout).unwrap();
        assert_eq!(found["healthy"], case.is_healthy(), "{}", case.name);
        let todo = case.last_line.strip_prefix("to do: ").map(str::to_owned);
        assert_eq!(found["todo"], json!(todo), "{}", case.name);
        assert_eq!(found["manifest"], "/mnt/manifest.json");
        let text = fs::read_to_string(directory().join(format!("{}.txt", case.name))).unwrap();
        for finding in found["findings"].as_array().unwrap() {
            let line =
                format!("  {}: {}\n", finding["state"].as_str().unwrap(), finding["text"].as_str().unwrap());
            assert!(text.contains(&line), "{}: {line}", case.name);
        }
    }
}

#[test]
fn json_names_every_recipient_and_what_opens_it() {
    let Some(machine) = Machine::new() else { return };
    machine.shell(": > /etc/fstab");
    machine.write("/mnt/manifest.json", one().to_string());
    let answer = answer(&mut machine.command("exec sops-activate doctor --json /mnt/manifest.json"));
    let found: Value = serde_json::from_str(&answer.stdout).unwrap();
    let recipient = text("fixtures/keys/sample_host_ed25519.age").trim().to_owned();
    assert_eq!(
        found["files"],
        json!([{
            "path": FILE, "format": "yaml", "secrets": ["api-key"], "groupsNeeded": 1,
            "groups": [[{"kind": "age", "recipient": recipient, "openedBy": KEY}]], "opens": true, "hosts": []
        }])
    );
    assert_eq!(found["keys"][0]["source"], KEY);
    assert_eq!(found["keys"][0]["recipients"][0], recipient.as_str());
}

#[test]
fn an_ordinary_user_is_told_to_be_root() {
    let Some(machine) = Machine::new() else { return };
    machine.shell(": > /etc/fstab");
    machine.activate(&one());
    machine.shell("chmod 644 /mnt/manifest.json");
    let script =
        "exec setpriv --reuid=1501 --regid=1500 --clear-groups -- sops-activate doctor /mnt/manifest.json";
    let told = answer(&mut machine.command(script));
    assert_eq!(told.code, Some(1), "{told:?}");
    let last = "to do: run it as root, or name public keys with --host-key";
    assert_eq!(told.stdout.lines().last(), Some(last), "{told:?}");
}

#[test]
fn what_an_activation_can_do_next_is_what_it_says() {
    for (name, fails) in [
        ("healthy", false),
        ("nothing-activated", false),
        ("left-by-an-earlier-manifest", false),
        ("wrong-key", true),
        ("hand-edited-file", true),
    ] {
        let case = cases().into_iter().find(|case| case.name == name).unwrap();
        let Some((machine, _)) = case.run("") else { return };
        let ran = answer(&mut machine.command("exec sops-activate /mnt/manifest.json"));
        assert_eq!(ran.code, Some(i32::from(fails)), "{name}: {ran:?}");
        if !fails {
            let again = answer(&mut machine.command("exec sops-activate doctor /mnt/manifest.json"));
            assert_eq!(again.code, Some(0), "{name}: {again:?}");
        }
    }
}

/// `doctor` as the user whose home is `/mnt/home`, with a variable that only this shell has.
fn doctor_of_user(machine: &Machine, variable: &str) -> Answer {
    let user = "HOME=/mnt/home XDG_RUNTIME_DIR=/mnt/runtime PATH=";
    let script = format!("{user} {variable} exec /mnt/bin/sops-activate doctor /mnt/manifest.json");
    answer(&mut machine.command(&script))
}

#[test]
fn keys_of_the_unit_of_home_manager_are_looked_for_as_it_does() {
    let Some(machine) = Machine::new() else { return };
    machine.shell(": > /etc/fstab");
    let wanted = of_users_unit(&machine, "Environment=\"SOPS_AGE_KEY_FILE=%h/the key.txt\"\n");
    machine.shell("cp /mnt/fixtures/keys/age.txt '/mnt/home/the key.txt'");
    machine.write("/mnt/manifest.json", wanted.to_string());

    let told = doctor_of_user(&machine, "SOPS_AGE_KEY_FILE=/nowhere");
    let last = "to do: activate: `systemctl --user restart sops-nix.service`";
    assert_eq!(told.stdout.lines().last(), Some(last), "{told:?}");

    let unit = "HOME=/mnt/home XDG_RUNTIME_DIR=/mnt/runtime SOPS_AGE_KEY_FILE='/mnt/home/the key.txt'";
    let ran = answer(&mut machine.command(&format!("{unit} /mnt/home/install")));
    assert_eq!(ran, Answer::silent());
    let told = doctor_of_user(&machine, "SOPS_AGE_KEY_FILE=/nowhere");
    let last = "nothing to do: this machine opens and has in place what it should: 1 secret";
    assert_eq!(told.stdout.lines().last(), Some(last), "{told:?}");
    let as_it_does = "  ok: sops-nix.service installs this manifest: keys are looked for as it does\n";
    assert!(told.stdout.contains(as_it_does), "{told:?}");
}

#[test]
fn a_key_that_only_the_shell_of_a_user_names_does_not_count_for_the_unit_of_home_manager() {
    let Some(machine) = Machine::new() else { return };
    machine.shell(": > /etc/fstab");
    let wanted = of_users_unit(&machine, "");
    machine.write("/mnt/manifest.json", wanted.to_string());
    let variable = "SOPS_AGE_KEY_FILE=/mnt/fixtures/keys/age.txt";
    let told = doctor_of_user(&machine, variable);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(!told.stdout.contains("age.txt"), "{told:?}");

    // Where the unit installs another manifest, nothing is known of it, and the shell is all that there is.
    machine
        .shell("cp /mnt/manifest.json /mnt/other.json; sed -i s/manifest.json/other.jso/ /mnt/home/install");
    let told = doctor_of_user(&machine, variable);
    assert!(told.stdout.lines().last().unwrap().contains("activate: `sops-activate /mnt/"), "{told:?}");
}
