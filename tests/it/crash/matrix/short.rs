//! Writes that the kernel cuts short.
//!
//! strace can only answer that fewer bytes were written than were; this debugger changes the count that the program gives
//! to the kernel, so that half of the bytes are written and the rest is not. What a full disk does is the same, and an
//! error at the next write.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The next write succeeds.
    Goes,
    /// There is no room for more.
    Full,
}

/// What became of it.
pub struct Seen {
    pub status: ExitStatus,
    /// Writes of more than one byte.
    pub writes: usize,
    /// The write was cut short, and its rest was asked for.
    pub fired: bool,
}

/// Starts the command, which a shell is to exec after it has stopped itself, and cuts its write of that number short; none
/// for number 0.
pub fn run(child: &Child, nth: usize, then: Then) -> Seen {
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert!(matches!(stopped, WaitStatus::Stopped(_, Signal::SIGSTOP)), "{stopped:?}");
    ptrace::seize(
        pid,
        Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_EXITKILL,
    )
    .unwrap();
    kill(pid, Signal::SIGCONT).unwrap();
    let mut seen = Seen { status: ExitStatus::from_raw(0), writes: 0, fired: false };
    // Of each thread.
    let mut states: BTreeMap<Pid, State> = BTreeMap::new();
    let mut has_started = false;
    let mut wants_rest = None;
    loop {
        let news = waitpid(None, Some(WaitPidFlag::__WALL)).unwrap();
        let Some(thread) = news.pid() else { continue };
        let signal = match news {
            WaitStatus::Exited(_, code) if thread == pid => {
                seen.status = ExitStatus::from_raw(code << 8);
                return seen;
            }
            WaitStatus::Signaled(_, signal, _) if thread == pid => {
                seen.status = ExitStatus::from_raw(signal as i32);
                return seen;
            }
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => continue,
            WaitStatus::PtraceEvent(_, _, event) => {
                // The shell becomes the program.
                has_started |= event == ptrace::Event::PTRACE_EVENT_EXEC as i32;
                let is_in_call = has_started && event != ptrace::Event::PTRACE_EVENT_STOP as i32;
                states.insert(thread, if is_in_call { State::Inside(Cut::No) } else { State::Outside });
                None
            }
            WaitStatus::PtraceSyscall(_) if has_started => {
                let state = match states.remove(&thread) {
                    Some(State::Inside(cut)) => {
                        leave(thread, cut, &mut wants_rest);
                        State::Outside
                    }
                    Some(State::Outside) | None => {
                        State::Inside(enter(thread, nth, then, &mut seen, &mut wants_rest))
                    }
                };
                states.insert(thread, state);
                None
            }
            WaitStatus::Stopped(_, signal) => Some(signal).filter(|signal| *signal != Signal::SIGTRAP),
            _ => None,
        };
        match ptrace::syscall(thread, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => panic!("{errno}"),
        }
    }
}

enum State {
    Outside,
    Inside(Cut),
}

#[derive(Clone, Copy)]
enum Cut {
    No,
    /// It asked for so many bytes.
    Short(u64),
    Full,
}

/// x86-64's `write`.
const WRITE: u64 = 1;

/// `wants_rest` is the thread whose write was cut short.
fn enter(pid: Pid, nth: usize, then: Then, seen: &mut Seen, wants_rest: &mut Option<Pid>) -> Cut {
    let mut registers = ptrace::getregs(pid).unwrap();
    if registers.orig_rax != WRITE {
        return Cut::No;
    }
    if wants_rest.take_if(|thread| *thread == pid).is_some() {
        seen.fired = true;
        if then == Then::Goes {
            return Cut::No;
        }
        // A call that does not exist, so that nothing is done.
        registers.orig_rax = u64::MAX;
        ptrace::setregs(pid, registers).unwrap();
        return Cut::Full;
    }
    if registers.rdx < 2 {
        return Cut::No;
    }
    seen.writes += 1;
    if seen.writes != nth {
        return Cut::No;
    }
    let asked = registers.rdx;
    registers.rdx = asked / 2;
    ptrace::setregs(pid, registers).unwrap();
    Cut::Short(asked)
}

fn leave(pid: Pid, cut: Cut, wants_rest: &mut Option<Pid>) {
    match cut {
        Cut::No => {}
        Cut::Short(asked) => {
            let mut registers = ptrace::getregs(pid).unwrap();
            assert_eq!(registers.rax, asked / 2, "the kernel wrote what it was asked to");
            registers.rdx = asked;
            ptrace::setregs(pid, registers).unwrap();
            *wants_rest = Some(pid);
        }
        Cut::Full => {
            let mut registers = ptrace::getregs(pid).unwrap();
            registers.rax = (-i64::from(Errno::ENOSPC as i32)).cast_unsigned();
            ptrace::setregs(pid, registers).unwrap();
        }
    }
}

/// A command that waits to be debugged.
pub fn waiting(program: &str, arguments: &[&str], user: Option<&str>) -> Command {
    let mut command = Command::new("/bin/sh");
    let become_user = if user.is_some() { "setpriv --reuid 1501 --regid 1500 --clear-groups " } else { "" };
    command.args(["-c", &format!("kill -STOP $$; exec {become_user}\"$0\" \"$@\""), program]).args(arguments);
    command
}
