//! The system calls of a run, and what can be done to each of them.

use std::collections::{BTreeMap, BTreeSet};

/// A system call of a run.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// Which of this name in its thread, from 1; which of those on `file`, if there is one.
    pub nth: usize,
    pub file: Option<String>,
    pub text: String,
    /// It comes before the program's own first call: it is the loader's, or the runtime's.
    pub of_loader: bool,
}

/// Something that is done to one call.
#[derive(Clone, Debug)]
pub struct Point {
    pub call: Call,
    pub what: What,
}

impl Call {
    /// Whether strace takes it for the same.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.name, self.nth, &self.file) == (&other.name, other.nth, &other.file)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The process is killed when it makes the call.
    Kill,
    Error(&'static str),
}

impl What {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "SIGKILL",
            Self::Error(error) => error,
        }
    }
}

impl Point {
    /// As strace wants it.
    pub fn injection(&self) -> String {
        let Call { name, nth, .. } = &self.call;
        let what = match self.what {
            What::Kill => "signal=KILL".to_owned(),
            // The kernel does not answer with an error there, but with the break as it is.
            What::Error(_) if name == "brk" => "retval=0".to_owned(),
            What::Error(error) => format!("error={error}"),
        };
        format!("inject={name}:{what}:when={nth}")
    }

    /// Whether it happened, by strace's log.
    pub fn has_fired(&self, log: &str) -> bool {
        match self.what {
            What::Kill => {
                log.contains("+++ killed by SIGKILL +++") && log.contains(&format!("{}(", self.call.name))
            }
            What::Error(_) => log.contains("(INJECTED)"),
        }
    }

    /// The same number in every run, by which points are shared.
    pub fn number(&self) -> u64 {
        let file = self.call.file.as_deref().unwrap_or_default();
        let text = format!("{} {} {}{file}", self.call.name, self.call.nth, self.what.name());
        // FNV-1a.
        text.bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
            >> 16
    }
}

/// The calls in a log, after the one that starts the program. Of several threads that make as many calls of a name, one
/// stands for all, because strace counts in each; so what other threads than the first do to a sops file is counted by
/// itself. What `systemctl` is started by is none of them, and how often threads wait for each other is a matter of chance: both
/// are left out. (Strace, which makes an error of a call, would also swallow that others are woken, as no kernel does.)
pub fn parse(log: &str) -> Vec<Call> {
    let lines = || {
        log.lines().filter_map(|line| {
            let (thread, text) = line.split_once(' ')?;
            let (name, _) = text.trim_start().split_once('(')?;
            let is_name =
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            (is_name && name != "futex").then_some((thread, name, text.trim_start()))
        })
    };
    let Some((first, ..)) = lines().next() else { return Vec::new() };
    let starts: BTreeSet<&str> = lines()
        .filter(|(thread, name, _)| *name == "execve" && *thread != first)
        .map(|(thread, ..)| thread)
        .collect();
    let mut counts: BTreeMap<(&str, &str, Option<&str>), usize> = BTreeMap::new();
    let mut known = BTreeSet::new();
    let mut calls = Vec::new();
    let mut of_loader = true;
    for (thread, name, text) in lines().filter(|(thread, ..)| !starts.contains(thread)) {
        let sops_file = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(file, _)| file);
        let file = sops_file.filter(|file| thread != first && file.starts_with("/mnt/"));
        let nth = counts.entry((thread, name, file)).or_default();
        *nth += 1;
        if calls.is_empty() && name == "execve" {
            continue;
        }
        of_loader &= !text.starts_with("prctl(PR_SET_DUMPABLE");
        if known.insert((name, *nth, file)) {
            let (name, file) = (name.to_owned(), file.map(str::to_owned));
            calls.push(Call { name, nth: *nth, file, text: text.to_owned(), of_loader });
        }
    }
    calls
}

/// What can be done to the call: death, and each of the seven errors that its manual page has, or that its file system
/// gives all the same (EIO).
pub fn points(call: &Call) -> Vec<Point> {
    let of = |what| Point { call: call.clone(), what };
    let errors = errors(call).iter().map(|error| of(What::Error(error)));
    std::iter::once(of(What::Kill)).chain(errors).collect()
}

fn errors(call: &Call) -> &'static [&'static str] {
    let has = |text| call.text.contains(text);
    match call.name.as_str() {
        "openat" | "open" | "openat2" if has("O_CREAT") => {
            &["EACCES", "EINTR", "EIO", "EMFILE", "ENOMEM", "ENOSPC", "EPERM"]
        }
        "openat" | "open" | "openat2" => &["EACCES", "EINTR", "EIO", "EMFILE", "ENOMEM", "EPERM"],
        "read" | "pread64" => &["EINTR", "EIO"],
        "write" | "pwrite64" => &["EINTR", "EIO", "ENOSPC", "EPERM"],
        "close" | "fsync" => &["EINTR", "EIO", "ENOSPC"],
        "fstat" | "getdents64" => &["EIO", "ENOMEM"],
        "newfstatat" | "statx" | "stat" | "lstat" | "readlink" | "readlinkat" => &["EACCES", "EIO", "ENOMEM"],
        "access" | "faccessat" | "faccessat2" => &["EACCES", "EIO", "ENOMEM", "EPERM"],
        "mkdir" | "mkdirat" | "rename" | "renameat" | "renameat2" | "symlink" | "symlinkat" | "linkat" => {
            &["EACCES", "EIO", "ENOMEM", "ENOSPC", "EPERM"]
        }
        "chmod" | "fchmodat" | "fchownat" | "chown" | "lchown" | "unlinkat" | "unlink" | "rmdir" => {
            &["EACCES", "EIO", "ENOMEM", "EPERM"]
        }
        "fchmod" | "fchown" => &["EIO", "EPERM"],
        "mount" => &["EACCES", "EIO", "EMFILE", "ENOMEM", "EPERM"],
        "fstatfs" | "statfs" => &["EINTR", "EIO", "ENOMEM"],
        "fcntl" if has("F_DUPFD") => &["EMFILE"],
        "utimensat" => &["EACCES", "EIO", "EPERM"],
        "mmap" => &["EACCES", "ENOMEM", "EPERM"],
        "mprotect" => &["EACCES", "ENOMEM"],
        "brk" | "mremap" | "munmap" | "madvise" | "clone" | "clone3" | "vfork" => &["ENOMEM"],
        "wait4" | "waitid" | "getrandom" | "nanosleep" | "clock_nanosleep" | "epoll_pwait" => &["EINTR"],
        "socket" => &["EACCES", "EMFILE", "ENOMEM"],
        "connect" => &["EACCES", "EINTR", "EPERM"],
        "pipe2" | "dup" | "dup3" | "epoll_create1" | "eventfd2" => &["EMFILE"],
        "flock" | "poll" | "ppoll" | "recvmsg" | "recvfrom" | "sendmsg" | "sendto" => &["EINTR", "ENOMEM"],
        "epoll_ctl"
        | "sigaltstack"
        | "mlock"
        | "mlockall"
        | "landlock_add_rule"
        | "landlock_restrict_self" => &["ENOMEM", "EPERM"],
        "pidfd_open" | "socketpair" | "landlock_create_ruleset" => &["EMFILE", "ENOMEM"],
        "prctl" => &["EACCES", "EPERM"],
        "prlimit64" | "setpgid" => &["EPERM"],
        "copy_file_range" => &["EIO", "ENOMEM", "ENOSPC", "EPERM"],
        name if HAS_NO_SUCH_ERROR.contains(&name) => &[],
        name => panic!("which errors can '{name}' give? {}", call.text),
    }
}

/// Calls that cannot give one of the seven.
const HAS_NO_SUCH_ERROR: [&str; 34] = [
    "arch_prctl",
    "capget",
    "dup2",
    "execve",
    "exit",
    "exit_group",
    "fadvise64",
    "fcntl",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "ioctl",
    "kill",
    "lseek",
    "pidfd_send_signal",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "setrlimit",
    "setsid",
    "tgkill",
    "umask",
    "uname",
    "sysinfo",
];

/// What an error at this call is about, by the lines of the log that say so: paths as messages have them. What is made
/// ready beside its place is told by its place.
pub fn objects(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().collect();
    let injected = lines.iter().enumerate().filter(|(_, line)| line.contains("(INJECTED)"));
    let texts = injected.map(|(at, line)| {
        // The call of one thread may be on two lines.
        let thread = line.split(' ').next().unwrap_or_default();
        let begun = lines
            .iter()
            .take(at)
            .rev()
            .find(|other| other.starts_with(thread) && other.contains("<unfinished"));
        if line.contains("resumed>") { begun.unwrap_or(line) } else { line }
    });
    let mut objects = Vec::new();
    for text in texts {
        let (names, directories) = (between(text, '"', '"'), between(text, '<', '>'));
        let relative = names.iter().filter(|name| !name.starts_with('/'));
        objects.extend(
            relative.flat_map(|name| directories.iter().map(move |directory| format!("{directory}/{name}"))),
        );
        objects.extend(names.iter().filter(|name| name.starts_with('/')).cloned());
        objects.extend(directories.iter().filter(|directory| *directory != "unfinished ...").cloned());
    }
    objects
        .iter()
        .map(|path| settled(&path.replace("\\\\", "\\")))
        .filter(|object| !object.is_empty())
        .collect()
}

fn between(line: &str, open: char, close: char) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((_, inner)) = rest.split_once(open) {
        let Some((object, after)) = inner.split_once(close) else { break };
        found.push(object.to_owned());
        rest = after;
    }
    found
}

/// A path without the directory in which something is made ready.
pub fn settled(path: &str) -> String {
    let parts = path.split('/').filter_map(|part| {
        let hidden = part.strip_prefix('.').and_then(|part| part.strip_suffix(".sops-activate"));
        hidden.or((part != "new" && part != "." && !part.is_empty()).then_some(part))
    });
    let parts: Vec<&str> = parts.collect();
    if path.starts_with('/') { format!("/{}", parts.join("/")) } else { parts.join("/") }
}
