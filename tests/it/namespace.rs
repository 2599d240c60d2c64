//! A machine of one's own: a private mount namespace with an empty `/run`, and with `/etc` and `/var` as overlays over
//! the real ones. Nothing that is mounted or written there reaches the machine that runs the tests.
//!
//! Do not read results through `/proc/PID/root`: an absolute symlink such as `/run/secrets` would lead to our own root.
//! Ask a program inside.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// The layers of the overlays lie on a tmpfs that is hidden below the one on `/run`.
const SETUP: &str = "
set -e
mount -t tmpfs -o mode=0755 tmpfs /run
for dir in etc var; do
    mkdir -p /run/$dir/upper /run/$dir/work
    mount -t overlay -o lowerdir=/$dir,upperdir=/run/$dir/upper,workdir=/run/$dir/work overlay /$dir
done
mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs /run
echo ready
exec cat
";

/// The namespace lives as long as this value, or as the test program if that is killed: its first process ends when
/// its standard input does.
pub struct Namespace {
    first: Child,
}

impl Namespace {
    /// None, with the reason printed, where namespaces are not to be had: that needs root.
    pub fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: not root");
            return None;
        }
        let unshare = ["--mount", "--propagation", "private", "sh", "-c"];
        let mut first = Command::new("unshare")
            .args(unshare)
            .arg(SETUP)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux runs");
        let mut answer = String::new();
        BufReader::new(first.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
        if answer == "ready\n" {
            return Some(Self { first });
        }
        first.wait().unwrap();
        eprintln!("skipped: root, but may not make a mount namespace");
        None
    }

    /// A program that will run inside, with the environment of the tests.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.first.id())).arg("--").arg(program);
        command
    }

    /// What a shell says inside, on both outputs, trimmed; it may fail.
    pub fn shell(&self, script: &str) -> String {
        let Output { stdout, stderr, .. } = self.command("sh").args(["-c", script]).output().unwrap();
        String::from_utf8([stdout, stderr].concat()).unwrap().trim().to_owned()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.first.kill().expect("the first process is there until now");
        self.first.wait().expect("it was killed");
    }
}

#[test]
fn nothing_done_inside_is_seen_outside() {
    let Some(inside) = Namespace::new() else { return };
    let script = "mkdir /run/sops-activate-test && mount -t ramfs none /run/sops-activate-test && \
                  touch /etc/sops-activate-test /var/sops-activate-test && stat -f -c %T /run/sops-activate-test";
    assert_eq!(inside.shell(script), "ramfs");
    for path in ["/run", "/etc", "/var"] {
        let path = format!("{path}/sops-activate-test");
        assert!(std::fs::symlink_metadata(&path).is_err(), "'{path}' is seen outside");
    }
}
