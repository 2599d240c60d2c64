//! What the sandbox refuses: everything that an activation is not there for.
//!
//! It is entered in a thread, which alone is confined then. That it refuses nothing that an activation needs is shown by all
//! other tests, whose runs are in it.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use sops_activate::plan::access::Ownership;
use sops_activate::system::mount::Backing;
use sops_activate::system::sandbox::{self, Needs, NoSandbox};
use sops_activate::system::store::Store;

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
            let confined = scope.spawn(|| match sandbox::enter(&needs) {
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
