//! The program as a command: its name, its flags, its exit codes, and where it writes what.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::machine::{Machine, PROGRAM, output, text};

/// A machine on which all is well, with one secret.
fn well(fields: &serde_json::Value) -> Machine {
    let machine = Machine::new();
    machine.copy("fixtures/recipients/ssh-to-age.yaml", "secrets.yaml");
    machine.copy("fixtures/keys/host_ed25519", "host_key");
    let mut manifest = json!({
        "secrets": [{"name": "a", "key": "", "mode": "0400", "sopsFile": "DIR/secrets.yaml"}],
        "ageSshKeyPaths": ["DIR/host_key"],
    });
    for (name, value) in fields.as_object().unwrap() {
        manifest[name] = value.clone();
    }
    machine.manifest(manifest);
    machine
}

fn run(machine: &Machine, program: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = output(machine.command(program, arguments));
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn success_is_silent() {
    let machine = well(&json!({}));
    if !machine.is_in_memory() {
        return;
    }
    assert_eq!(
        run(&machine, "sops-activate", &["DIR/manifest.json"]),
        (Some(0), String::new(), String::new())
    );
    let plain = text("fixtures/recipients/ssh-to-age.yaml.plain");
    assert_eq!(fs::read_to_string(machine.path("secrets/a")).unwrap(), plain);
}

#[test]
fn messages_carry_the_name_that_the_program_was_called_by() {
    let machine = Machine::new();
    symlink(PROGRAM, machine.path("sops-install-secrets")).unwrap();
    let mut by_link = Command::new(machine.path("sops-install-secrets"));
    by_link.arg("/nonexistent");
    let stderr = String::from_utf8(output(by_link).stderr).unwrap();
    assert!(stderr.starts_with("sops-install-secrets: error: "), "{stderr}");
    for (called, named) in
        [("/run/current-system/sw/bin/sops-activate", "sops-activate"), ("", "sops-activate"), ("x/y", "y")]
    {
        let (_, _, stderr) = run(&machine, called, &["/nonexistent"]);
        assert!(stderr.starts_with(&format!("{named}: error: ")), "{called}: {stderr}");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let machine = Machine::new();
    for flag in ["-h", "-help", "--help"] {
        let (code, stdout, stderr) = run(&machine, "sops-activate", &[flag]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        assert!(stdout.starts_with("usage: "));
        for documented in ["-check-mode", "-ignore-passwd", "-version", "-help"] {
            assert!(stdout.contains(documented), "{documented}");
        }
    }
    let version = format!("sops-activate {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&machine, "sops-activate", &["-version"]), (Some(0), version, String::new()));
}

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        eprintln!("skipped: no /dev/full");
        return;
    };
    assert_eq!(Command::new(PROGRAM).arg("-h").stdout(full).status().unwrap().code(), Some(1));
}

/// At boot nobody may be there to read; that is no reason to come up without secrets.
#[cfg(all(feature = "pgp", feature = "age-ssh"))]
#[test]
fn a_line_that_cannot_be_written_is_a_failure_and_keeps_no_secret_away() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        eprintln!("skipped: no /dev/full");
        return;
    };
    let machine = well(&json!({"logging": {"keyImport": true}, "sshKeyPaths": ["DIR/rsa_key"]}));
    machine.copy("fixtures/keys/host_rsa", "rsa_key");
    let mut command = machine.command("sops-activate", &["DIR/manifest.json"]);
    let Output { status, stderr, .. } = command.stdout(full).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: cannot write to standard output: "), "{stderr}");
    let plain = text("fixtures/recipients/ssh-to-age.yaml.plain");
    assert_eq!(fs::read_to_string(machine.path("secrets/a")).unwrap(), plain);
}

#[test]
fn misuse_prints_the_usage_on_standard_error_and_exits_2() {
    let machine = well(&json!({}));
    for arguments in [
        &[][..],
        &["DIR/manifest.json", "DIR/manifest.json"],
        &["DIR/manifest.json", "-ignore-passwd"],
        &["-no-such-flag", "DIR/manifest.json"],
        &["-check-mode", "all", "DIR/manifest.json"],
        &["-ignore-passwd=perhaps", "DIR/manifest.json"],
        &["-check-mode"],
    ] {
        let (code, stdout, stderr) = run(&machine, "sops-activate", arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr.contains("\nusage: sops-activate "), "{arguments:?}: {stderr}");
    }
    assert!(!machine.path("secrets").exists());
}

#[test]
fn import_lines_are_word_for_word_those_of_the_original() {
    let machine = well(&json!({"logging": {"keyImport": true}}));
    if !machine.is_in_memory() {
        return;
    }
    let (code, stdout, stderr) =
        run(&machine, "/nix/store/x/bin/sops-install-secrets", &["DIR/manifest.json"]);
    let recipient = text("fixtures/keys/host_ed25519.age");
    let expected = machine.here(&format!(
        "sops-install-secrets: Imported DIR/host_key as age key with fingerprint {}\n",
        recipient.trim()
    ));
    assert_eq!((code, stdout, stderr), (Some(0), String::new(), expected));
}

/// Runs with standard error in a file, and `JOURNAL_STREAM` as systemd would set it for that file, or for another.
fn to_journal(machine: &Machine, ours: bool) -> String {
    let file = File::create(machine.path("stderr")).unwrap();
    let stat = file.metadata().unwrap();
    let inode = if ours { stat.ino() } else { stat.ino() + 1 };
    let mut command = machine.command("sops-activate", &["DIR/manifest.json"]);
    command.env("JOURNAL_STREAM", format!("{}:{inode}", stat.dev()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).status().unwrap();
    fs::read_to_string(machine.path("stderr")).unwrap()
}

#[test]
fn every_line_for_the_journal_has_its_priority() {
    let failing = well(&json!({"ageSshKeyPaths": []}));
    let lines = to_journal(&failing, true);
    assert!(lines.lines().count() > 2 && lines.lines().all(|line| line.starts_with("<3>")), "{lines}");
    assert!(lines.starts_with("<3>sops-activate: error: "), "{lines}");

    let setuid = json!([{"name": "a", "key": "", "mode": "4755", "sopsFile": "DIR/secrets.yaml"}]);
    let warning = to_journal(&well(&json!({"secrets": setuid})), true);
    assert!(warning.starts_with("<4>sops-activate: warning: "), "{warning}");

    let told = to_journal(&well(&json!({"logging": {"keyImport": true}})), true);
    assert!(told.starts_with("<6>sops-activate: Imported "), "{told}");
}

/// Terminals that a user's systemd has started have the variable, too, and it names another stream than theirs.
#[test]
fn a_stream_that_is_not_the_journals_gets_no_priorities() {
    let failing = well(&json!({"ageSshKeyPaths": []}));
    let lines = to_journal(&failing, false);
    assert!(lines.starts_with("sops-activate: error: ") && !lines.contains("<3>"), "{lines}");
    for value in ["", "1", "x:y", ":"] {
        let mut command = failing.command("sops-activate", &["DIR/manifest.json"]);
        command.env("JOURNAL_STREAM", value);
        let stderr = String::from_utf8(output(command).stderr).unwrap();
        assert!(stderr.starts_with("sops-activate: error: "), "{value}: {stderr}");
    }
}

#[test]
fn closed_standard_streams_do_not_matter() {
    for (fields, expected) in
        [(json!({"logging": {"keyImport": true}}), 0), (json!({"ageSshKeyPaths": []}), 1)]
    {
        let machine = well(&fields);
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh", PROGRAM]).arg(machine.path("manifest.json"));
        shell.env_clear().env("XDG_RUNTIME_DIR", machine.path("run"));
        if let Some(path) = option_env!("PATH") {
            shell.env("PATH", path);
        }
        assert_eq!(output(shell).status.code(), Some(expected));
        assert_eq!(machine.path("secrets/a").exists(), expected == 0);
    }
}

#[test]
fn a_reader_that_went_away_does_not_matter() {
    let machine = well(&json!({"logging": {"keyImport": true}}));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = machine.command("sops-activate", &["DIR/manifest.json"]);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
}
