//! The machine of a history: everything that can be written to lies in memory and is looked at as a whole. The rest of the
//! file tree is read-only, so nothing can go where nobody looks.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::history::{History, many_files};
use crate::machine::repository;

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nalice:x:1501:1500::/var/home/alice:/bin/sh\n";
const GROUP: &str = "root:x:0:\nkeys:x:96:\nnogroup:x:65534:\napp:x:1502:alice\n";
/// Tells what it was asked, in one write.
const SYSTEMCTL: &str = "#!/bin/sh\necho \"$*\" >>/mnt/ours/systemctl.log\n";

/// What can be written to.
const PLACES: [&str; 6] = ["/etc", "/var", "/tmp", "/root", "/dev/shm", "/run"];
/// What every machine has from the start.
const GIVEN: [&str; 6] =
    ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache", "/var/empty", "/var/lib"];

/// Where our own files are: what is done to a run, and what it did.
pub const OURS: &str = "/mnt/ours";
pub const PROGRAM: &str = "/mnt/bin/sops-install-secrets";

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    pub kind: char,
    pub mode: u32,
    pub owner: (u32, u32),
    /// Where a link leads.
    pub target: String,
    pub content: Vec<u8>,
}

/// Everything that is there, by its path, and what is mounted.
#[derive(Clone, Debug)]
pub struct Look {
    pub things: BTreeMap<String, Thing>,
    pub mounts: Vec<String>,
}

fn tmpfs(path: &str) {
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
}

fn bind(from: &Path, to: &str) {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}

/// Makes the machine, in a namespace that is nobody else's.
pub fn make(program: &Path) {
    let cache = fs::read("/etc/ld.so.cache").unwrap_or_default();
    tmpfs("/mnt");
    for directory in ["/mnt/bin", "/mnt/fixtures", "/mnt/many", OURS] {
        fs::create_dir(directory).unwrap();
    }
    bind(&repository("tests/fixtures"), "/mnt/fixtures");
    fs::write(PROGRAM, "").unwrap();
    bind(program, PROGRAM);
    fs::write("/mnt/bin/systemctl", SYSTEMCTL).unwrap();
    fs::set_permissions("/mnt/bin/systemctl", Permissions::from_mode(0o755)).unwrap();
    let sample = fs::read("/mnt/fixtures/sample/secrets.yaml").unwrap();
    for file in many_files() {
        fs::write(file, &sample).unwrap();
    }
    fs::write("/mnt/template", "hash=<SOPS:hash:PLACEHOLDER>\n").unwrap();
    for place in PLACES {
        tmpfs(place);
    }
    for directory in ["/var/empty", "/var/lib"] {
        fs::create_dir(directory).unwrap();
    }
    let passwd = [
        ("passwd", PASSWD.as_bytes()),
        ("group", GROUP.as_bytes()),
        ("nsswitch.conf", b"passwd: files\ngroup: files\n"),
        ("ld.so.cache", &cache),
    ];
    for (name, text) in passwd {
        fs::write(Path::new("/etc").join(name), text).unwrap();
    }
    // Anybody may write there, as everywhere.
    for place in ["/tmp", "/dev/shm"] {
        fs::set_permissions(place, Permissions::from_mode(0o1777)).unwrap();
    }
    std::env::set_current_dir("/").unwrap();
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(None::<&str>, "/", None::<&str>, read_only, None::<&str>).unwrap();
    assert!(fs::write("/written", "").is_err(), "the root is read-only");
}

/// What is in memory, on every machine.
const IN_MEMORY: [&str; 2] = ["/run", "/dev/shm"];

/// Makes the machine as if it had never run anything.
pub fn clear(history: &History) {
    unmount(history);
    for place in PLACES.into_iter().chain(["/var/lib"]) {
        empty(place);
    }
    for directory in ["/var/home", "/var/home/alice"] {
        fs::create_dir(directory).unwrap();
    }
    own("/var/home/alice");
    // As on a real machine, so that nothing depends on what the path is called.
    symlink("/run", "/var/run").unwrap();
    start();
}

/// Takes away what does not outlast a reboot.
pub fn reboot(history: &History) {
    unmount(history);
    for place in IN_MEMORY {
        empty(place);
    }
    start();
}

fn unmount(history: &History) {
    // More than one may be mounted there.
    while umount2(history.store, MntFlags::MNT_DETACH).is_ok() {}
}

/// Removes what is not given.
fn empty(place: &str) {
    for entry in fs::read_dir(place).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        if GIVEN.iter().any(|given| path == Path::new(given)) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
}

/// What is there from the start of a machine.
fn start() {
    for directory in ["/run/nixos", "/run/user", "/run/user/1501"] {
        fs::create_dir(directory).unwrap();
    }
    own("/run/user/1501");
    fs::write("/mnt/ours/systemctl.log", "").unwrap();
}

fn own(directory: &str) {
    std::os::unix::fs::chown(directory, Some(1501), Some(1500)).unwrap();
}

pub fn look(history: &History) -> Look {
    let mut things = BTreeMap::new();
    for place in PLACES {
        walk(Path::new(place), &mut things);
    }
    let table = fs::read_to_string("/proc/self/mounts").unwrap();
    let mounts = table.lines().filter(|line| line.split(' ').nth(1) == Some(history.store));
    Look { things, mounts: mounts.map(str::to_owned).collect() }
}

fn walk(directory: &Path, things: &mut BTreeMap<String, Thing>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if GIVEN.iter().take(4).any(|given| path == Path::new(given)) {
            continue;
        }
        let found = fs::symlink_metadata(&path).unwrap();
        let kind = match found.file_type() {
            kind if kind.is_symlink() => 'l',
            kind if kind.is_dir() => 'd',
            kind if kind.is_file() => 'f',
            _ => '?',
        };
        let target =
            if kind == 'l' { fs::read_link(&path).unwrap().display().to_string() } else { String::new() };
        let content = if kind == 'f' { fs::read(&path).unwrap() } else { Vec::new() };
        let mode = if kind == 'l' { 0 } else { found.mode() & 0o7777 };
        let thing = Thing { kind, mode, owner: (found.uid(), found.gid()), target, content };
        things.insert(path.to_str().unwrap().to_owned(), thing);
        if kind == 'd' {
            walk(&path, things);
        }
    }
}

/// The units that were told, and to do what; told once.
pub fn told() -> Vec<String> {
    let mut told = Vec::new();
    for verb in ["restart", "reload"] {
        let path = format!("/run/nixos/activation-{verb}-list");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        told.extend(text.lines().map(|unit| format!("{verb} {unit}")));
        if !text.is_empty() && !text.ends_with('\n') {
            told.push("(half a line)".to_owned());
        }
        fs::remove_file(path).unwrap();
    }
    for line in fs::read_to_string("/mnt/ours/systemctl.log").unwrap().lines() {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.starts_with('-')).collect();
        let [verb, units @ ..] = &words[..] else { continue };
        let verb = if *verb == "try-restart" { "restart" } else { "reload" };
        told.extend(units.iter().map(|unit| format!("{verb} {unit}")));
    }
    fs::write("/mnt/ours/systemctl.log", "").unwrap();
    told.sort();
    told.dedup();
    told
}
