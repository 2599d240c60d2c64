//! A temporary directory that stands for a machine, and the program run on it as a person would.
//!
//! Nothing of the tester's own machine gets in: the environment is empty but for what a test sets, and the home is
//! in the directory.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// No run takes a second; a run that waits for a FIFO takes for ever.
const TIME_LIMIT: Duration = Duration::from_secs(60);

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sops-activate");

/// `path` in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file below `tests/`, as text.
pub fn text(path: &str) -> String {
    fs::read_to_string(repository("tests").join(path)).unwrap()
}

pub struct Machine {
    directory: tempfile::TempDir,
}

impl Machine {
    pub fn new() -> Self {
        // In memory where possible, as on a real machine: a store on a disk earns a warning.
        let memory = Path::new("/dev/shm");
        let directory = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        let machine = Self { directory };
        for name in ["home", "run"] {
            fs::create_dir(machine.path(name)).unwrap();
        }
        machine
    }

    /// Whether the store will be in memory, so that no warning is due. Tells when it is not.
    pub fn is_in_memory(&self) -> bool {
        let yes = self.directory.path().starts_with("/dev/shm");
        if !yes {
            eprintln!("skipped: no /dev/shm, and a store on a disk earns a warning");
        }
        yes
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Puts a file of `tests/` on the machine.
    pub fn copy(&self, from: &str, name: &str) {
        self.write(name, fs::read(repository("tests").join(from)).unwrap());
    }

    /// Writes `manifest.json`: user mode in this directory, with `fields` on top. DIR stands for the directory.
    #[expect(clippy::needless_pass_by_value, reason = "it is called with json!")]
    pub fn manifest(&self, fields: Value) {
        let mut manifest = json!({
            "secretsMountPoint": "%r/secrets.d",
            "symlinkPath": "DIR/secrets",
            "keepGenerations": 1,
            "userMode": true,
            "sshKeyPaths": [],
            "ageSshKeyPaths": [],
            "placeholderBySecretName": {},
        });
        for (name, value) in fields.as_object().unwrap() {
            manifest[name] = value.clone();
        }
        self.write("manifest.json", self.here(&serde_json::to_string_pretty(&manifest).unwrap()));
    }

    /// `text` with this machine's directory in place of DIR.
    pub fn here(&self, text: &str) -> String {
        text.replace("DIR", self.directory.path().to_str().unwrap())
    }

    /// `text` with DIR in place of this machine's directory.
    pub fn anywhere(&self, text: &str) -> String {
        text.replace(self.directory.path().to_str().unwrap(), "DIR")
    }

    /// The program, called by the name `program`, in this machine's environment. DIR stands for the directory.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg0(program).args(arguments.iter().map(|argument| self.here(argument)));
        command.env_clear().env("HOME", self.path("home")).env("XDG_RUNTIME_DIR", self.path("run"));
        command.current_dir(self.directory.path());
        command
    }
}

/// What a finished command printed, and how it ended.
///
/// # Panics
/// When the command does not end in time.
pub fn output(mut command: Command) -> Output {
    use std::process::Stdio;
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (send, receive) = mpsc::channel::<io::Result<Output>>();
    thread::spawn(move || send.send(child.wait_with_output()));
    receive.recv_timeout(TIME_LIMIT).map_or_else(
        |_| {
            let _ = Command::new("kill").arg(id.to_string()).status();
            panic!("{command:?} did not end within {TIME_LIMIT:?}")
        },
        Result::unwrap,
    )
}
