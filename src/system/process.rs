//! Runs another program and stays in charge of it: a limit on its time, on what it writes, and on what it may see.
//!
//! A program gets pipes and the environment that it is given, nothing else, in a process group of its own. Being in
//! the background of its session, it is stopped rather than served when it reads a terminal, and the limit ends that.
//! When it is done with, its whole group is killed and it is reaped; only what made itself a session of its own (as
//! `gpg-agent` does) goes on. What it writes on standard output is wiped after use.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, PipeReader, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use zeroize::{Zeroize as _, Zeroizing};

use crate::secret::SecretBytes;

/// Bytes of standard error that are kept, the last ones.
const STDERR_LIMIT: usize = 64 << 10;

/// Bytes that are read at once: what a pipe holds by default.
const CHUNK: usize = 64 << 10;

/// How much longer a program may run after it has said all that is wanted of it.
const GRACE: Duration = Duration::from_secs(2);

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
        let path = self.environment.iter().find(|(name, _)| name == "PATH");
        path.map(|(_, value)| value.as_os_str())
    }
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

/// A program that is spoken with while it runs. It is killed and reaped when this is dropped.
pub struct Running {
    program: PathBuf,
    limits: Limits,
    deadline: Instant,
    child: Child,
    /// Ends when the program does.
    alive: PipeReader,
    waiter: Option<JoinHandle<()>>,
    stdin: Option<ChildStdin>,
    /// What is not written yet.
    unsent: Zeroizing<Vec<u8>>,
    /// Whether standard input is closed once all is written.
    closing: bool,
    stdout: Option<ChildStdout>,
    /// What was read from it. Never grows beyond the capacity that it starts with, so that wiping it wipes all.
    received: Zeroizing<Vec<u8>>,
    stderr: Option<ChildStderr>,
    errors: Vec<u8>,
}

impl Running {
    /// Starts `program` with nothing but `environment` in its environment.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        program: &Path,
        arguments: &[impl AsRef<OsStr>],
        environment: &Variables,
        limits: Limits,
    ) -> Result<Self, ProcessError> {
        let failed = |cause| ProcessError::Start { program: program.to_owned(), cause };
        let (alive, ending) = io::pipe().map_err(failed)?;
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut running = Self {
            program: program.to_owned(),
            limits,
            deadline: Instant::now() + limits.time,
            alive,
            waiter: None,
            stdin,
            unsent: Zeroizing::default(),
            closing: false,
            stdout,
            received: Zeroizing::new(Vec::with_capacity(limits.output.saturating_add(1))),
            stderr,
            errors: Vec::new(),
            child,
        };
        let pid = running.pid();
        // It leaves the dead program to be reaped by its owner: until then nobody else can get its number, and the
        // group can be killed by it.
        let wait = move || {
            while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
            drop(ending);
        };
        running.waiter = Some(thread::Builder::new().spawn(wait).map_err(failed)?);
        for pipe in [
            running.stdin.as_ref().map(AsFd::as_fd),
            running.stdout.as_ref().map(AsFd::as_fd),
            running.stderr.as_ref().map(AsFd::as_fd),
        ]
        .into_iter()
        .flatten()
        {
            never_block(pipe).map_err(|errno| failed(errno.into()))?;
        }
        Ok(running)
    }

    /// Writes `bytes` to its standard input while something is waited for. That it does not read them is no failure.
    pub fn send(&mut self, bytes: &[u8]) {
        let mut unsent = Zeroizing::new(Vec::with_capacity(self.unsent.len() + bytes.len()));
        unsent.extend_from_slice(&self.unsent);
        unsent.extend_from_slice(bytes);
        self.unsent = unsent;
    }

    /// Closes its standard input when all is written.
    pub fn close_input(&mut self) {
        self.closing = true;
    }

    /// What it wrote on standard output and was not [taken](Self::take) yet.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Removes the first `count` bytes of what was received.
    pub fn take(&mut self, count: usize) {
        let count = count.min(self.received.len());
        let rest = self.received.len() - count;
        self.received.copy_within(count.., 0);
        if let Some(stale) = self.received.get_mut(rest..) {
            stale.zeroize();
        }
        self.received.truncate(rest);
    }

    /// Waits until it has written more on standard output; `false` when it will write no more.
    ///
    /// # Errors
    /// When it goes beyond a limit.
    pub fn receive(&mut self) -> Result<bool, ProcessError> {
        let before = self.received.len();
        while self.received.len() == before && self.stdout.is_some() {
            if !self.step()? {
                // All that it wrote is in the pipe by now.
                self.drain()?;
                self.stdout = None;
            }
        }
        Ok(self.received.len() > before)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it goes beyond a limit; it was killed then.
    pub fn finish(mut self) -> Result<Output, ProcessError> {
        while self.step()? {}
        self.drain()?;
        let status = self.reap().map_err(|cause| self.talk(cause))?;
        Ok(Output {
            status,
            stdout: SecretBytes::new(std::mem::take(&mut *self.received)),
            stderr: std::mem::take(&mut self.errors),
        })
    }

    /// Lets it come to its end for a moment, now that it has nothing more to say; then it is killed.
    pub fn dismiss(mut self) {
        self.close_input();
        self.deadline = self.deadline.min(Instant::now() + GRACE);
        // Whatever it does now, nobody wants to know.
        while matches!(self.step(), Ok(true)) {}
    }

    /// Waits for anything to happen, and handles it; `false` when the program has ended.
    fn step(&mut self) -> Result<bool, ProcessError> {
        if self.closing && self.unsent.is_empty() {
            self.stdin = None;
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ProcessError::TimedOut { program: self.program.clone(), limit: self.limits.time });
        }
        // Rounded up, so that the last fraction of a millisecond is not waited for in a loop.
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let mut waited = vec![PollFd::new(self.alive.as_fd(), PollFlags::POLLIN)];
        if let Some(stdout) = &self.stdout {
            waited.push(PollFd::new(stdout.as_fd(), PollFlags::POLLIN));
        }
        if let Some(stderr) = &self.stderr {
            waited.push(PollFd::new(stderr.as_fd(), PollFlags::POLLIN));
        }
        if let Some(stdin) = self.stdin.as_ref().filter(|_| !self.unsent.is_empty()) {
            waited.push(PollFd::new(stdin.as_fd(), PollFlags::POLLOUT));
        }
        match poll(&mut waited, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(self.talk(errno.into())),
        }
        if waited.first().is_some_and(|alive| alive.any() != Some(false)) {
            return Ok(false);
        }
        self.write();
        self.read()?;
        Ok(true)
    }

    /// Writes what fits.
    fn write(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        while !self.unsent.is_empty() {
            match stdin.write(&self.unsent) {
                Ok(count) => {
                    let rest = self.unsent.get(count..).unwrap_or_default();
                    self.unsent = Zeroizing::new(rest.to_vec());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // It closed its end: it has read what it wants.
                    self.unsent = Zeroizing::default();
                    self.stdin = None;
                    return;
                }
            }
        }
    }

    /// Reads one piece of each output, if there is one. `true` when something was read.
    fn read(&mut self) -> Result<bool, ProcessError> {
        let mut progress = false;
        if let Some(stdout) = &mut self.stdout {
            let room = self.received.capacity() - self.received.len();
            let before = self.received.len();
            self.received.resize(before + room.min(CHUNK), 0);
            let piece = self.received.get_mut(before..).unwrap_or_default();
            let read = read_available(stdout, piece);
            self.received.truncate(before + read.unwrap_or(0));
            match read {
                Some(0) => self.stdout = None,
                Some(_) => progress = true,
                None => {}
            }
            if self.received.len() > self.limits.output {
                return Err(ProcessError::TooMuch {
                    program: self.program.clone(),
                    limit: self.limits.output,
                });
            }
        }
        if let Some(stderr) = &mut self.stderr {
            let mut piece = [0; 4096];
            match read_available(stderr, &mut piece) {
                Some(0) => self.stderr = None,
                Some(count) => {
                    progress = true;
                    self.errors.extend_from_slice(piece.get(..count).unwrap_or_default());
                    let excess = self.errors.len().saturating_sub(STDERR_LIMIT);
                    self.errors.drain(..excess);
                }
                None => {}
            }
        }
        Ok(progress)
    }

    /// Reads what is left in the pipes of a program that has ended. Others may hold them open still.
    fn drain(&mut self) -> Result<(), ProcessError> {
        while Instant::now() < self.deadline && self.read()? {}
        Ok(())
    }

    fn pid(&self) -> Pid {
        // Process numbers are positive and far below that limit.
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }

    /// Ends the group, if anything is left of it.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        // There is nobody to kill when it ended in order and alone.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let status = self.child.wait();
        if let Some(waiter) = self.waiter.take() {
            // It does nothing that could panic.
            let _ = waiter.join();
        }
        status
    }

    fn talk(&self, cause: io::Error) -> ProcessError {
        ProcessError::Talk { program: self.program.clone(), cause }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Reaped before: the number may be somebody else's by now.
        if self.waiter.is_some() || matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.reap();
        }
    }
}

fn never_block(pipe: BorrowedFd) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

/// The count of bytes read, 0 at the end; `None` when there is nothing for now.
fn read_available(pipe: &mut impl Read, piece: &mut [u8]) -> Option<usize> {
    loop {
        match pipe.read(piece) {
            Ok(count) => return Some(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            // A pipe that cannot be read is at its end.
            Err(_) => return Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::kill;
    use std::os::unix::fs::OpenOptionsExt as _;

    const LIMITS: Limits = Limits { time: Duration::from_secs(20), output: 1 << 20 };

    fn shell(script: &str, input: &[u8], limits: Limits) -> Result<Output, ProcessError> {
        let environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
        run(Path::new("/bin/sh"), &["-c", script], &environment, input, limits)
    }

    #[test]
    fn input_and_both_outputs_of_any_size_pass_at_the_same_time() {
        let input = vec![b'x'; 700_000];
        let output =
            shell("cat; head -c 300000 /dev/zero >&2; echo end >&2; exit 3", &input, LIMITS).unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(output.stdout.expose() == input);
        assert_eq!(output.stderr.len(), STDERR_LIMIT);
        assert!(output.stderr.ends_with(b"\0end\n"));
    }

    #[test]
    fn only_the_given_environment_is_seen() {
        let environment = vec![("A".into(), "b".into())];
        let output = run(Path::new("/usr/bin/env"), &[] as &[&str], &environment, b"", LIMITS).unwrap();
        assert_eq!(output.stdout.expose(), b"A=b\n");
    }

    #[test]
    fn input_that_is_not_read_is_no_failure() {
        assert!(shell("exit 0", &[b'x'; 1 << 20], LIMITS).unwrap().status.success());
        assert!(shell("exec 0<&-; sleep 0.1", &[b'x'; 1 << 20], LIMITS).unwrap().status.success());
    }

    /// A FIFO that whatever a script starts holds open as descriptor 9.
    struct Held(tempfile::TempDir, fs::File);

    impl Held {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("fifo");
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
            let flags = OFlag::O_NONBLOCK.bits();
            let fifo = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).unwrap();
            Self(dir, fifo)
        }

        fn script(&self, script: &str) -> String {
            format!("exec 9>{}/fifo; {script}", self.0.path().display())
        }

        /// Waits until nothing holds it any more, which is long before the scripts' ends when all were killed.
        fn assert_let_go(mut self, since: Instant) {
            fcntl(&self.1, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
            assert_eq!(self.1.read(&mut [0]).unwrap(), 0);
            assert!(since.elapsed() < Duration::from_secs(30));
        }
    }

    #[test]
    fn a_hanging_program_is_killed_with_its_children_at_the_limit() {
        let held = Held::new();
        let limits = Limits { time: Duration::from_millis(300), ..LIMITS };
        let start = Instant::now();
        let error = shell(&held.script("sleep 60 & wait"), b"", limits).err().unwrap();
        assert_eq!(error.to_string(), "'/bin/sh' did not end within 0.3 s, and was killed");
        held.assert_let_go(start);
    }

    #[test]
    fn a_program_that_ended_is_not_waited_for_because_of_what_it_left_behind() {
        let held = Held::new();
        let start = Instant::now();
        let output = shell(&held.script("echo said; sleep 60 & exit"), b"", LIMITS).unwrap();
        assert_eq!(output.stdout.expose(), b"said\n");
        held.assert_let_go(start);
    }

    #[test]
    fn a_flood_is_stopped_at_the_limit() {
        let limits = Limits { output: 100_000, ..LIMITS };
        let error = shell("exec cat /dev/zero", b"", limits).err().unwrap();
        assert_eq!(error.to_string(), "'/bin/sh' wrote more than 100000 bytes, and was killed");
        let output = shell("head -c 100000 /dev/zero", b"", limits).unwrap();
        assert_eq!(output.stdout.len(), 100_000);
    }

    #[test]
    fn what_cannot_be_started_is_told() {
        let error = run(Path::new("/no/such"), &[] as &[&str], &vec![], b"", LIMITS).err().unwrap();
        assert!(error.to_string().starts_with("cannot run '/no/such': "), "{error}");
    }

    #[test]
    fn no_zombie_is_left() {
        let running = Running::start(Path::new("/bin/sleep"), &["1000"], &vec![], LIMITS).unwrap();
        let pid = running.pid();
        assert_eq!(kill(pid, None), Ok(()));
        drop(running);
        assert_eq!(kill(pid, None), Err(Errno::ESRCH));
    }

    #[test]
    fn a_conversation_goes_line_by_line() {
        let limits = Limits { output: 10, ..LIMITS };
        let mut running = Running::start(Path::new("/bin/cat"), &[] as &[&str], &vec![], limits).unwrap();
        for word in ["one\n", "two\n", "three\n"] {
            running.send(word.as_bytes());
            while running.received().len() < word.len() {
                assert!(running.receive().unwrap());
            }
            assert_eq!(running.received(), word.as_bytes());
            running.take(word.len());
        }
        running.close_input();
        assert!(!running.receive().unwrap());
        assert!(running.finish().unwrap().status.success());
    }

    #[test]
    fn programs_are_found_on_the_path_and_never_in_the_current_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("a/tool")).unwrap();
        fs::create_dir(path("b")).unwrap();
        fs::write(path("b/tool"), "").unwrap();
        let search = OsString::from(format!(":.:src:{0}/a:{0}/b", dir.path().display()));
        assert_eq!(find("tool".as_ref(), Some(&search)), None);
        fs::set_permissions(path("b/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("tool".as_ref(), Some(&search)), Some(path("b/tool")));
        assert_eq!(find("tool".as_ref(), None), None);
        assert_eq!(find("./tool".as_ref(), None), Some("./tool".into()));
    }

    #[test]
    fn what_a_program_says_cannot_move_the_cursor() {
        assert_eq!(
            last_line(b"first\nthe \x1b[31mlast\xff\t\x07\n \n").as_deref(),
            Some("the  [31mlast\u{fffd}")
        );
        assert_eq!(last_line(b" \n"), None);
        assert_eq!(clean(&"x".repeat(300)).chars().count(), 201);
    }
}
