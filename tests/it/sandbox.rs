//! What the sandboxes refuse: everything that an activation is not there for, and everything but reading to those who read
//! sops files; and that a run is in them.
//!
//! They are entered in a thread, which alone is confined then. That they refuse nothing that an activation needs is shown by
//! all other tests, whose runs are in them.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::json;
use sops_activate::plan::access::Ownership;
use sops_activate::system::confined::{self, Outside};
use sops_activate::system::mount::Backing;
use sops_activate::system::sandbox::{Needs, NoSandbox, Sandbox};
use sops_activate::system::store::Store;

use crate::server::{self, USER, answer, manifest, secret, with};

/// A directory that stands for the machine.
struct Machine {
    directory: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap() };
        for path in ["links", "files", "elsewhere"] {
            fs::create_dir(machine.path(path)).unwrap();
            fs::write(machine.path(path).join("there"), "before").unwrap();
        }
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// `work` in the sandbox. False, with the reason printed, where there is none.
    fn confined(&self, work: impl FnOnce(&Self) + Send) -> bool {
        let owner = Ownership { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() };
        let nobody_else = &mut || panic!("nobody else is here");
        let store = Store::open(&self.path("store"), Backing::Existing, owner, nobody_else);
        let (store, _) = store.map_err(|error| error.to_string()).unwrap();
        let needs =
            Needs { store: &store, links: vec![self.path("links/missing")], files: vec![self.path("files")] };
        thread::scope(|scope| {
            let confined =
                scope.spawn(|| match Sandbox::for_activation(&needs).and_then(|sandbox| sandbox.enter()) {
                    Ok(()) => {
                        work(self);
                        true
                    }
                    Err(NoSandbox::Landlock(error)) => {
                        eprintln!("skipped: {error}");
                        false
                    }
                    Err(error) => panic!("{error}"),
                });
            confined.join().unwrap()
        })
    }
}

#[track_caller]
fn assert_refused<T>(what: &str, done: std::io::Result<T>) {
    match done {
        Ok(_) => panic!("{what} is not refused"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}: {error}"),
    }
}

fn write(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

#[test]
fn outside_of_its_places_nothing_is_read_written_or_run() {
    // All of it is possible for whoever runs the tests.
    let shadow = if nix::unistd::geteuid().is_root() { "/etc/shadow" } else { "/etc/passwd" };
    File::open(shadow).unwrap();
    assert!(Command::new("true").status().unwrap().success());
    let status = || fs::read_to_string("/proc/thread-self/status").unwrap();
    let has_new_privileges = |status: &str| status.contains("NoNewPrivs:\t0");
    let before = has_new_privileges(&status());
    let is_there = Machine::new().confined(|machine| {
        assert_refused("reading accounts", File::open(shadow));
        assert_refused("reading files", File::open(machine.path("elsewhere/there")));
        assert_refused("writing", write(&machine.path("elsewhere/there")));
        assert_refused("cutting off", fs::write(machine.path("elsewhere/there"), ""));
        assert_refused("making a file", File::create(machine.path("elsewhere/new")));
        assert_refused("making a directory", fs::create_dir(machine.path("elsewhere/new")));
        assert_refused("making a link", symlink("x", machine.path("elsewhere/new")));
        assert_refused("removing", fs::remove_file(machine.path("elsewhere/there")));
        // The kernel calls this one "between file systems".
        let moved = fs::rename(machine.path("files/there"), machine.path("elsewhere/new"));
        assert!(moved.is_err(), "moving out is not refused");
        assert_refused("writing where links are", write(&machine.path("links/there")));
        assert_refused("reading where links are", File::open(machine.path("links/there")));
        assert_refused("running a program", Command::new("true").status());
        assert_refused("the network", TcpStream::connect("127.0.0.1:9"));
    });
    if is_there {
        assert_eq!(has_new_privileges(&status()), before, "only the thread of the test is confined");
    }
}

#[test]
fn in_its_places_it_can_do_what_an_activation_does() {
    Machine::new().confined(|machine| {
        for directory in ["store", "files"] {
            let path = |name: &str| machine.path(directory).join(name);
            fs::create_dir_all(path("new/deep")).unwrap();
            fs::write(path("new/deep/file"), "x").unwrap();
            assert_eq!(fs::read(path("new/deep/file")).unwrap(), b"x");
            fs::hard_link(path("new/deep/file"), path("again")).unwrap();
            fs::rename(path("new/deep/file"), path("again")).unwrap();
            symlink("again", path("new/link")).unwrap();
            fs::rename(path("new/link"), path("link")).unwrap();
            fs::remove_dir_all(path("new")).unwrap();
        }
        fs::create_dir_all(machine.path("links/missing/private")).unwrap();
        symlink("x", machine.path("links/missing/private/new")).unwrap();
        fs::rename(machine.path("links/missing/private/new"), machine.path("links/missing/link")).unwrap();
        fs::remove_dir(machine.path("links/missing/private")).unwrap();
        assert_eq!(fs::read_dir("/").unwrap().next().map(|entry| entry.is_ok()), Some(true));
    });
}

#[test]
fn who_reads_sops_files_can_open_nothing_and_reads_what_was_opened_for_it() {
    if let Err(error) = Sandbox::for_reading() {
        eprintln!("skipped: {error}");
        return;
    }
    let shadow = if nix::unistd::geteuid().is_root() { "/etc/shadow" } else { "/etc/passwd" };
    File::open(shadow).unwrap();
    let machine = Machine::new();
    let files = ["links/there", "files/there", "none"].map(|path| machine.path(path));
    let calling = thread::current().id();
    let work = |file: &'_ PathBuf, outside: &Outside<'_>| {
        assert_ne!(thread::current().id(), calling);
        assert_refused("reading accounts", File::open(shadow));
        assert_refused("reading files", File::open(machine.path("links/there")));
        assert_refused("listing", fs::read_dir("/"));
        assert_refused("writing", write(&machine.path("files/there")));
        assert_refused("making a file", File::create(machine.path("files/new")));
        assert_refused("making a directory", fs::create_dir(machine.path("files/new")));
        assert_refused("making a link", symlink("x", machine.path("files/new")));
        assert_refused("removing", fs::remove_file(machine.path("files/there")));
        assert_refused("running a program", Command::new("true").status());
        assert_refused("the network", TcpStream::connect("127.0.0.1:9"));
        let here = outside.ask(|| thread::current().id());
        let elsewhere = outside.ask_for_long(|| (thread::current().id(), Command::new("true").status()));
        assert_eq!(here, calling, "the calling thread does what others ask for");
        assert!(elsewhere.0 != calling && elsewhere.1.unwrap().success(), "and waits for nothing long");
        let path = file.clone();
        let read = outside.ask(move || File::open(path)).map(|mut open| {
            let mut text = String::new();
            open.read_to_string(&mut text).map(|_| text)
        });
        read.and_then(|read| read).map_err(|error| error.kind())
    };
    for count in [0, 1, 2, 8] {
        let read = confined::map(&files, count, work);
        assert_eq!(read, [Ok("before".to_owned()), Ok("before".to_owned()), Err(ErrorKind::NotFound)]);
    }
    File::open(shadow).expect("only those threads are confined");
}

/// A run whose units programs are told by, the threads of it by their numbers, each with its calls.
fn run_told_by_systemctl(machine: &server::Machine) -> Vec<(String, Vec<String>)> {
    machine.write("/mnt/bin/systemctl", "#!/bin/sh\necho $* >> /mnt/calls\n");
    machine.shell("chmod +x /mnt/bin/systemctl");
    let wanted = |key| {
        let units = json!({"path": "/etc/app/a", "restartUnits": ["a"], "restartUserUnits": ["b"]});
        manifest(&[with(secret("a", key), units)], &[])
    };
    machine.activate(&wanted("api_key"));
    drop(machine.program(&wanted("database/user")));
    let calls = "landlock_restrict_self,read,openat,mkdirat,unlinkat,renameat,renameat2,linkat,symlinkat";
    let ran = answer(
        machine
            .command(&format!(
                "strace -f --detach-on=execve -y -o /mnt/log -e trace={calls} sops-install-secrets /mnt/manifest.json"
            ))
            .env("SOPS_RESTART_UNITS_VIA_SYSTEMCTL", "1"),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(machine.shell("cat /run/secrets/a"), USER);
    let told = "--no-block try-restart a.service\n--user --no-block try-restart -- b.service";
    assert_eq!(machine.shell("cat /mnt/calls"), told);
    let mut threads: Vec<(String, Vec<String>)> = Vec::new();
    for line in machine.shell("cat /mnt/log").lines() {
        let (number, call) = line.split_once(' ').unwrap();
        if threads.iter().all(|(known, _)| known != number) {
            threads.push((number.to_owned(), Vec::new()));
        }
        let (_, calls) = threads.iter_mut().find(|(known, _)| known == number).unwrap();
        calls.push(call.trim_start().to_owned());
    }
    threads
}

#[test]
fn sops_files_are_read_and_secrets_put_in_place_by_threads_in_the_sandbox_also_where_programs_tell_units() {
    if let Err(error) = Sandbox::for_reading() {
        eprintln!("skipped: {error}");
        return;
    }
    let Some(machine) = server::Machine::new() else { return };
    if machine.shell("command -v strace").is_empty() {
        eprintln!("skipped: no strace");
        return;
    }
    let _socket = machine.user_manager(0);
    let threads = run_told_by_systemctl(&machine);
    let reads_values = |call: &String| call.starts_with("read(") && call.contains("secrets.yaml");
    let changes = |call: &String| {
        let names = ["mkdirat(", "unlinkat(", "renameat", "linkat(", "symlinkat("];
        names.iter().any(|name| call.starts_with(name)) || call.contains("O_CREAT")
    };
    let is_confined = |(_, calls): &&(String, Vec<String>)| {
        calls.first().is_some_and(|call| call.starts_with("landlock_restrict_self("))
    };
    let (confined, free): (Vec<_>, Vec<_>) = threads.iter().partition(is_confined);
    let count = |threads: &[&(String, Vec<String>)], of: &dyn Fn(&String) -> bool| {
        threads.iter().flat_map(|(_, calls)| calls).filter(|call| of(call)).count()
    };
    assert!(count(&confined, &reads_values) > 0 && count(&confined, &changes) > 4, "{threads:#?}");
    assert_eq!((count(&free, &reads_values), count(&free, &changes)), (0, 0), "{free:#?}");
}
