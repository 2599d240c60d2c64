//! The real `gpg`, with throw-away homes: keys that open, that want a passphrase, that are not there. And RSA host keys
//! as OpenPGP keys, through the whole program, without any `gpg`.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use sops_activate::keys::{Environment, Keyring, Sources};
use sops_activate::sops::data_key::{Refusal, Stanza, StanzaKind, Unwrap as _};
use tempfile::TempDir;

use crate::fixtures::{decrypt, format};
use crate::machine::{Machine, PROGRAM, output};
use crate::transcripts;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
const PATH: &str = env!("PATH");

/// Whether there is a gpg, with the agent that it cannot do without and the program that ends that.
pub fn has_gpg() -> bool {
    let runs = |program: &str| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    ["gpg", "gpg-agent", "gpgconf"].into_iter().all(runs)
}

/// A home of gpg, whose agent ends with it.
struct Home(TempDir);

impl Home {
    /// None, with the reason printed, where there is no gpg.
    fn new() -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("gpg").tempdir().unwrap();
        DirBuilder::new().mode(0o700).create(dir.path().join("home")).unwrap();
        if !has_gpg() {
            eprintln!("skipped: cannot run gpg");
            return None;
        }
        Some(Self(dir))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn gpg(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("gpg");
        command
            .args(["--batch", "--quiet", "--homedir"])
            .arg(self.path())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.gpg(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn generate(&self, name: &str, passphrase: &str) {
        let passphrase = ["--pinentry-mode", "loopback", "--passphrase", passphrase];
        self.succeed(
            &[&passphrase[..], &["--quick-generate-key", name, "rsa2048", "encr", "never"]].concat(),
        );
        // The agent would remember the passphrase.
        Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.path())
            .args(["--kill", "gpg-agent"])
            .status()
            .unwrap();
    }

    fn encrypted_to(&self, name: &str, content: &[u8]) -> Stanza {
        let file = self.0.path().join("content");
        fs::write(&file, content).unwrap();
        let file = file.to_str().unwrap();
        let options =
            ["--armor", "--trust-model", "always", "--recipient", name, "--output", "-", "--encrypt", file];
        let enc = String::from_utf8(self.succeed(&options)).unwrap();
        Stanza { kind: StanzaKind::Pgp, recipient: "(any)".into(), enc }
    }

    fn keyring(&self) -> Keyring {
        let handed_on: Vec<(OsString, OsString)> = vec![("PATH".into(), PATH.into())];
        let environment = Environment { handed_on, ..Environment::default() };
        Keyring::collect(&Sources { gnupg_home: Some(self.path()), environment, ..Sources::default() })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.path()).args(["--kill", "all"]).status();
    }
}

fn opened(keyring: &Keyring, stanza: &Stanza) -> Result<Vec<u8>, String> {
    match keyring.unwrap_with_programs(stanza, Refusal::NotOurs) {
        Ok(key) => Ok(key.expose().to_vec()),
        Err(refusal) => Err(refusal.to_string()),
    }
}

#[test]
fn files_that_sops_encrypted_to_a_gpg_key_open() {
    let Some(home) = Home::new() else { return };
    home.succeed(&["--import", &format!("{FIXTURES}/keys/pgp.asc")]);
    for name in ["only-pgp.yaml", "pgp-beside-age.yaml"] {
        let file = Path::new(FIXTURES).join("recipients").join(name);
        let plain = fs::read(file.with_extension("yaml.plain")).unwrap();
        assert_eq!(decrypt(format("yaml"), &fs::read(file).unwrap(), &home.keyring()), Ok(plain));
    }
}

#[test]
fn keys_that_cannot_be_used_are_told_at_once() {
    let Some(home) = Home::new() else { return };
    home.generate("open", "");
    home.generate("locked", "correct horse");
    let (open, locked) = (home.encrypted_to("open", b"data key"), home.encrypted_to("locked", b"data key"));
    let empty = home.encrypted_to("open", b"");
    let place = home.path().display().to_string();
    let start = Instant::now();
    assert_eq!(opened(&home.keyring(), &open), Ok(b"data key".to_vec()));
    assert_eq!(
        opened(&home.keyring(), &locked),
        Err(format!(
            "the secret key that gpg has for it in '{place}' needs a passphrase or PIN, and nobody can be asked"
        ))
    );
    assert_eq!(opened(&home.keyring(), &empty), Err("gpg opened it and found nothing inside".into()));
    let damaged = Stanza { enc: open.enc.replace("\n\n", "\n\nAAAA"), ..open.clone() };
    let reason = opened(&home.keyring(), &damaged).unwrap_err();
    assert!(reason.contains("malformed") || reason.starts_with("gpg failed"), "{reason}");

    let Some(stranger) = Home::new() else { return };
    assert_eq!(
        opened(&stranger.keyring(), &open),
        Err(format!("gpg has no secret key for it in '{}'", stranger.path().display()))
    );
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_gpg_that_hangs_ends_the_run_at_the_limit_and_takes_its_children_along() {
    let case = transcripts::hanging_gpg();
    // A run that does not end is killed, and told, by the one who waits for it.
    let (machine, output) = case.run().unwrap();
    assert_eq!(case.review(&machine, &output), None);
    let flags = OFlag::O_NONBLOCK.bits();
    let mut fifo = fs::OpenOptions::new().read(true).custom_flags(flags).open(machine.path("fifo")).unwrap();
    // They were killed, but need not have ended yet. They would live on for minutes.
    if fifo.read(&mut [0]).is_err() {
        let mut held = [PollFd::new(fifo.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut held, 30_000_u16), Ok(1), "something that gpg started lives on");
        assert_eq!(held[0].revents(), Some(PollFlags::POLLHUP));
    }
}

#[test]
fn a_gpg_that_reads_the_terminal_is_stopped_and_ends_at_the_limit() {
    let machine = Machine::new();
    machine.copy("fixtures/recipients/only-pgp.yaml", "secrets.yaml");
    machine.write("gpg", machine.here("#!/bin/sh\ncat /dev/tty\ntouch DIR/read\n"));
    fs::set_permissions(machine.path("gpg"), fs::Permissions::from_mode(0o755)).unwrap();
    machine.manifest(serde_json::json!({
        "secrets": [{"name": "api", "key": "api", "sopsFile": "DIR/secrets.yaml", "format": "yaml", "mode": "0400"}]
    }));
    let program = machine.command("sops-activate", &[]);
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command"]);
    command.arg(machine.here(&format!("exec '{PROGRAM}' DIR/manifest.json"))).arg("/dev/null").env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin").env("SOPS_GPG_EXEC", machine.path("gpg"));
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: no script of util-linux");
        return;
    }
    let output = output(command);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("did not end within 30 s, and was killed"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    assert!(!machine.path("read").exists(), "it had the terminal");
}

/// What lies in a home, but for the sockets of an agent.
fn files(home: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(home).unwrap() {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            let content = fs::read(&path).unwrap();
            found.push((path, content));
        }
    }
    found.sort();
    found
}

/// Processes that name the directory on their command line.
fn processes_of(home: &Path) -> Vec<String> {
    let home = home.to_str().unwrap();
    let commands = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let command = fs::read(entry.unwrap().path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        command.contains(home).then(|| command.split(' ').next().unwrap_or_default().to_owned())
    });
    commands.collect()
}

#[test]
fn nothing_is_written_into_the_home_and_only_its_agent_is_left() {
    let Some(home) = Home::new() else { return };
    home.generate("open", "");
    home.generate("locked", "correct horse");
    let (open, locked) = (home.encrypted_to("open", b"data key"), home.encrypted_to("locked", b"data key"));
    // A home that others may read is a warning of gpg, no more.
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let before = files(&home.path());
    for (stanza, opens) in [(&open, true), (&locked, false)] {
        assert_eq!(opened(&home.keyring(), stanza).is_ok(), opens);
        let left = processes_of(&home.path());
        assert!(left.iter().all(|program| program.ends_with("gpg-agent")), "{left:?}");
    }
    assert!(files(&home.path()) == before, "the home was written to");
}

#[test]
fn a_home_that_cannot_be_read_is_told_as_that() {
    if nix::unistd::geteuid().is_root() {
        eprintln!("skipped: root may read everything");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    DirBuilder::new().mode(0o000).create(&home).unwrap();
    let keyring = Keyring::collect(&Sources { gnupg_home: Some(home.clone()), ..Sources::default() });
    let stanza = Stanza { kind: StanzaKind::Pgp, recipient: "(any)".into(), enc: "(any)".into() };
    let reason = format!("cannot use the gpg home '{}': permission denied", home.display());
    assert_eq!(opened(&keyring, &stanza), Err(reason));
}

#[test]
fn an_rsa_host_key_opens_pgp_files_without_gpg_and_is_announced_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    fs::create_dir(&run).unwrap();
    let key = format!("{FIXTURES}/keys/host_rsa");
    let manifest = dir.path().join("manifest.json");
    let secret = |name: &str| {
        serde_json::json!({
            "name": name, "key": "api", "path": format!("%r/secrets/{name}"), "mode": "0400", "format": "yaml",
            "sopsFile": format!("{FIXTURES}/recipients/host-rsa-{name}.yaml"), "owner": null, "group": null
        })
    };
    let content = serde_json::json!({
        "secrets": [secret("3des"), secret("aes256")], "templates": [], "placeholderBySecretName": {},
        "secretsMountPoint": "%r/secrets.d", "symlinkPath": "%r/secrets", "keepGenerations": 1,
        "sshKeyPaths": [key], "ageSshKeyPaths": [], "userMode": true,
        "logging": {"keyImport": true, "secretChanges": false}
    });
    fs::write(&manifest, content.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sops-activate"))
        .arg0("/bin/sops-install-secrets")
        .arg(&manifest)
        .env_clear()
        .envs([("XDG_RUNTIME_DIR", run.as_path()), ("HOME", dir.path()), ("PATH", Path::new(""))])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["3des", "aes256"] {
        assert_eq!(fs::read_to_string(run.join("secrets").join(name)).unwrap(), "throw-away");
    }
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!(
            "sops-install-secrets: Imported {key} as GPG key with fingerprint 245fae8abf904f7fbcefdb0424139e587ac089c2\n"
        )
    );
    // No home was made.
    assert!(!dir.path().join(".gnupg").exists());
}
