//! Runs another program and stays in charge of it: a limit on its time, on what it writes, and on what it may see.
//!
//! A program gets pipes and the environment that it is given, nothing else, in a process group of its own. Being in
//! the background of its session, it is stopped rather than served when it reads a terminal, and the limit ends that.
//! When it is done with, its whole group is killed and it is reaped; only what made itself a session of its own (as
//! `gpg-agent` does) goes on. What it writes on standard output is wiped after use.

mod running;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::{self, Gid, Pid, Uid};

use crate::secret::SecretBytes;
pub use running::Running;

/// Environment variables and their values.
pub type Variables = Vec<(OsString, OsString)>;

/// What programs find around them.
#[derive(Default)]
pub struct Surroundings {
    /// All the variables that they see.
    pub environment: Variables,
    /// How long each may take.
    pub time_limit: Duration,
}

impl Surroundings {
    /// `PATH`
    #[must_use]
    pub fn path(&self) -> Option<&OsStr> {
        variable(&self.environment, "PATH")
    }
}

/// The value of the variable `name`.
#[must_use]
pub fn variable<'v>(variables: &'v Variables, name: &str) -> Option<&'v OsStr> {
    variables.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_os_str())
}

/// What a program may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From its start to its end.
    pub time: Duration,
    /// Bytes on standard output.
    pub output: usize,
}

/// What a program that came to its end by itself left behind.
pub struct Output {
    pub status: ExitStatus,
    pub stdout: SecretBytes,
    /// The last 64 KiB.
    pub stderr: Vec<u8>,
}

/// Why a program has no output.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("cannot run '{}': {cause}", .program.display())]
    Start { program: PathBuf, cause: io::Error },
    #[error("'{}' did not end within {} s, and was killed", .program.display(), .limit.as_secs_f32())]
    TimedOut { program: PathBuf, limit: Duration },
    #[error("'{}' wrote more than {limit} bytes, and was killed", .program.display())]
    TooMuch { program: PathBuf, limit: usize },
    #[error("cannot talk to '{}': {cause}", .program.display())]
    Talk { program: PathBuf, cause: io::Error },
}

/// The program called `name`: a path as it is, a mere name looked up in the directories of `path`. Entries of `path`
/// that depend on the current directory are passed over.
#[must_use]
pub fn find(name: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    let executable = |file: &PathBuf| {
        fs::metadata(file)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let directories =
        path?.as_bytes().split(|byte| *byte == b':').map(|entry| Path::new(OsStr::from_bytes(entry)));
    directories.filter(|entry| entry.is_absolute()).map(|entry| entry.join(name)).find(executable)
}

/// Runs `program` to its end with `input` as its standard input.
///
/// # Errors
/// When it cannot be started, or goes beyond a limit and was killed. Its exit status is the caller's matter.
pub fn run(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    environment: &Variables,
    input: &[u8],
    limits: Limits,
) -> Result<Output, ProcessError> {
    let mut running = Running::start(program, arguments, environment, limits)?;
    running.send(input);
    running.close_input();
    running.finish()
}

/// As [`run`], as the user `uid` in the group `gid` alone, without input.
///
/// # Errors
/// As [`run`]'s.
pub fn run_as(
    (uid, gid): (Uid, Gid),
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    environment: &Variables,
    limits: Limits,
) -> Result<Output, ProcessError> {
    let mut command = Command::new(program);
    // Before it takes the number of another user, root leaves all its groups: that is in std's `uid`.
    command.args(arguments).uid(uid.as_raw()).gid(gid.as_raw());
    let mut running = Running::launch(command, environment, limits)?;
    running.close_input();
    running.finish()
}

/// Parts with the terminal that this program was started from, if there is one, for a program of another user: who has a
/// terminal can put words into its input, and what reads it next is root's shell. Says whether it is gone.
///
/// It is this program that has to go: without code that is unsafe, a session cannot be had for a child alone. So nothing
/// that is typed stops it any more, and it should be about to end.
#[must_use]
pub fn leave_terminal() -> bool {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    if let Err(Errno::ENXIO | Errno::ENOENT) = fcntl::open("/dev/tty", flags, Mode::empty()) {
        return true;
    }
    // A shell makes each job a process group, and who leads one cannot leave its session before that is another's.
    let join_shell = || {
        let shells = unistd::getpgid(Some(unistd::getppid()))?;
        unistd::setpgid(Pid::from_raw(0), shells)
    };
    unistd::setsid().is_ok() || join_shell().and_then(|()| unistd::setsid()).is_ok()
}

/// The last line that says something, for an error: without control characters, and not longer than a line should be.
#[must_use]
pub fn last_line(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    text.lines().rev().map(clean).find(|line| !line.is_empty())
}

/// `text` with nothing in it that could move a terminal's cursor or the reading direction.
#[must_use]
pub fn clean(text: &str) -> String {
    const SHOWN: usize = 200;
    let plain = |character: char| match character {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        _ if character.is_control() => ' ',
        _ => character,
    };
    let text = text.trim();
    let mut shown: String = text.chars().take(SHOWN).map(plain).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests;
