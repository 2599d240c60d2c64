//! A program while it runs: one thread, waiting for whichever of its pipes has something to do, and another that
//! waits for its end.

use std::ffi::OsStr;
use std::io::{self, PipeReader, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Limits, Output, ProcessError, Variables};
use crate::secret::SecretBytes;
use crate::system::workers;

/// Bytes of standard error that are kept, the last ones.
pub(super) const STDERR_LIMIT: usize = 64 << 10;

/// Bytes that are read at once: what a pipe holds by default.
const CHUNK: usize = 64 << 10;

/// How much longer a program may run after it has said all that is wanted of it.
const GRACE: Duration = Duration::from_secs(2);

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
        let mut command = Command::new(program);
        command.args(arguments);
        Self::launch(command, environment, limits)
    }

    /// Starts `command`, which says what is run and as whom; the rest is set here.
    pub(super) fn launch(
        mut command: Command,
        environment: &Variables,
        limits: Limits,
    ) -> Result<Self, ProcessError> {
        let program = PathBuf::from(command.get_program());
        let failed = |cause| ProcessError::Start { program: program.clone(), cause };
        let (alive, ending) = io::pipe().map_err(failed)?;
        let mut child = command
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
            program: program.clone(),
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
        running.waiter = Some(workers::thread().spawn(wait).map_err(failed)?);
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

    pub(super) fn pid(&self) -> Pid {
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
