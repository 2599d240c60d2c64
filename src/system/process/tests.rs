//! Programs that talk, flood, hang and die, played by a shell.

use super::running::STDERR_LIMIT;
use super::*;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::kill;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Instant;

const LIMITS: Limits = Limits { time: Duration::from_secs(20), output: 1 << 20 };

/// Where the programs are; not every system has more than a shell in `/bin`.
const PATH: &str = env!("PATH");

fn program(name: &str) -> PathBuf {
    find(name.as_ref(), Some(PATH.as_ref())).unwrap()
}

fn shell(script: &str, input: &[u8], limits: Limits) -> Result<Output, ProcessError> {
    let environment = vec![("PATH".into(), PATH.into())];
    run(Path::new("/bin/sh"), &["-c", script], &environment, input, limits)
}

#[test]
fn input_and_both_outputs_of_any_size_pass_at_the_same_time() {
    let input = vec![b'x'; 700_000];
    let output = shell("cat; head -c 300000 /dev/zero >&2; echo end >&2; exit 3", &input, LIMITS).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.expose() == input);
    assert_eq!(output.stderr.len(), STDERR_LIMIT);
    assert!(output.stderr.ends_with(b"\0end\n"));
}

#[test]
fn only_the_given_environment_is_seen() {
    let environment = vec![("A".into(), "b".into())];
    let output = run(&program("env"), &[] as &[&str], &environment, b"", LIMITS).unwrap();
    assert_eq!(output.stdout.expose(), b"A=b\n");
}

#[test]
fn input_that_is_not_read_is_no_failure() {
    assert!(shell("exit 0", &vec![b'x'; 1 << 20], LIMITS).unwrap().status.success());
    assert!(
        shell("exec 0<&-; head -c 300000 /dev/zero", &vec![b'x'; 1 << 20], LIMITS).unwrap().status.success()
    );
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
    let running = Running::start(&program("sleep"), &["1000"], &vec![], LIMITS).unwrap();
    let pid = running.pid();
    assert_eq!(kill(pid, None), Ok(()));
    drop(running);
    assert_eq!(kill(pid, None), Err(Errno::ESRCH));
}

#[test]
fn a_conversation_goes_line_by_line() {
    let limits = Limits { output: 10, ..LIMITS };
    let mut running = Running::start(&program("cat"), &[] as &[&str], &vec![], limits).unwrap();
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
