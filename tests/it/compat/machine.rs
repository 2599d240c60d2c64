//! The machine of a case, and what is seen on it.
//!
//! It is a mount namespace with empty `/run`, `/etc` and `/var`, so that all that a program leaves there is seen. A
//! second process of this test binary makes it inside and runs the case: [`perform`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde::{Deserialize, Serialize};

use super::case::{Case, Gpg, Step};
use crate::machine::{PROGRAM, output, repository};
use crate::namespace::Namespace;

/// What is seen after each activation, in lines.
pub type Seen = Vec<Vec<String>>;

/// What a second process is to do.
#[derive(Serialize, Deserialize)]
pub struct Job {
    case: Case,
    program: PathBuf,
    /// Whether there is no program but those of the case.
    is_bare: bool,
}

/// What every machine has from the start, and the state that the original does not have; these are not looked at.
const GIVEN: [&str; 9] = [
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/sops",
    "/etc/ssh",
    "/var/empty",
    "/var/lib/sops-activate",
    "/var/program",
    "/run/systemctl.log",
];
const TOP: [&str; 3] = ["/etc", "/run", "/var"];

const PASSWD: &str =
    "root:x:0:0::/root:/bin/sh\nalice:x:1001:1001::/var/alice:/bin/sh\nbob:x:1002:50::/var/bob:/bin/sh\n";
const GROUP: &str = "root:x:0:\nstaff:x:50:\nkeys:x:96:\nalice:x:1001:\nnogroup:x:65534:\n";

/// Tells what it was asked, and where the secrets were at that moment. A file says whether it fails.
const SYSTEMCTL: &str = "#!/bin/sh
echo \"systemctl $* (/run/secrets: $(readlink /run/secrets))\" >>/run/systemctl.log
test ! -e /var/program/systemctl-fails
";

/// Where the steps of a case that needs one make the home of `gpg`; it is not looked at.
const GNUPG_HOME: &str = "/etc/sops/gnupg";

/// A text longer than this is told by its hash.
const SHOWN: usize = 400;

/// Runs the case with the program on a new machine. None where that cannot be, with the reason printed.
pub fn run(case: &Case, program: &Path) -> Option<Seen> {
    let inside = Namespace::new()?;
    let is_bare = case.gpg == Some(Gpg::Original) && program == Path::new(PROGRAM);
    let job = Job { case: case.clone(), program: fs::canonicalize(program).unwrap(), is_bare };
    let mut command = inside.command(std::env::current_exe().unwrap().to_str().unwrap());
    command.args(["--exact", "compat::inside", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("COMPAT_JOB", serde_json::to_string(&job).unwrap());
    let Output { status, stdout, stderr } = output(command);
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{}: {stderr}", case.name);
    let stdout = String::from_utf8(stdout).unwrap();
    let answer = stdout.lines().find_map(|line| line.strip_prefix("@ ")).unwrap();
    Some(serde_json::from_str(answer).unwrap())
}

/// Runs the case here, which must be a namespace of its own.
pub fn perform(job: &Job) -> Seen {
    set_up(job);
    let seen = job.case.steps.iter().map(|step| activate(job, step)).collect();
    if job.case.gpg == Some(Gpg::Both) {
        // An agent would outlive the namespace.
        let ended =
            Command::new("gpgconf").args(["--homedir", GNUPG_HOME, "--kill", "all"]).status().unwrap();
        assert!(ended.success());
    }
    seen
}

fn set_up(job: &Job) {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (text, path) in
        [(PASSWD, "passwd"), (GROUP, "group"), ("passwd: files\ngroup: files\n", "nsswitch.conf")]
    {
        files.insert(format!("/etc/{path}"), text.into());
    }
    for entry in fs::read_dir(repository("tests/compat/files")).unwrap() {
        let path = entry.unwrap().path();
        files.insert(
            format!("/etc/sops/{}", path.file_name().unwrap().to_str().unwrap()),
            fs::read(&path).unwrap(),
        );
    }
    let usual = [
        ("/etc/sops/age.txt", "fixtures/keys/age.txt"),
        ("/etc/ssh/ssh_host_ed25519_key", "fixtures/keys/host_ed25519"),
        ("/etc/ssh/ssh_host_rsa_key", "fixtures/keys/host_rsa"),
    ];
    let own = job.case.files.iter().map(|(place, path)| (place.as_str(), path.as_str()));
    for (place, path) in usual.into_iter().chain(own) {
        files.insert(place.into(), fs::read(repository("tests").join(path)).unwrap());
    }
    // Everything is made ready beside, because the repository may lie in what will be hidden.
    let none: Option<&str> = None;
    let new = |top: &str| format!("/run/new{top}");
    for top in ["/etc", "/var"] {
        fs::create_dir_all(new(top)).unwrap();
        mount(Some("tmpfs"), new(top).as_str(), Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    }
    for (place, content) in &files {
        let place = PathBuf::from(new(place));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, content).unwrap();
        // Keys and sops files are root's alone; everyone may look up names.
        let is_hidden = ["/etc/sops", "/etc/ssh"].iter().any(|hidden| place.starts_with(new(hidden)));
        fs::set_permissions(&place, Permissions::from_mode(if is_hidden { 0o600 } else { 0o644 })).unwrap();
    }
    let program = new("/var/program");
    fs::create_dir(&program).unwrap();
    fs::create_dir(new("/var/empty")).unwrap();
    let systemctl = format!("{program}/systemctl");
    fs::write(&systemctl, SYSTEMCTL).unwrap();
    fs::set_permissions(&systemctl, Permissions::from_mode(0o755)).unwrap();
    let installer = format!("{program}/sops-install-secrets");
    fs::write(&installer, "").unwrap();
    mount(Some(&job.program), installer.as_str(), none, MsFlags::MS_BIND, none).unwrap();
    for top in ["/etc", "/var"] {
        mount(Some(new(top).as_str()), top, none, MsFlags::MS_MOVE, none).unwrap();
    }
    fs::remove_dir_all("/run/new").unwrap();
    std::env::set_current_dir("/").unwrap();
}

fn activate(job: &Job, step: &Step) -> Vec<String> {
    let case = &job.case.name;
    if let Some(manifest) = step.manifest() {
        fs::write("/etc/sops/manifest.json", manifest).unwrap();
    }
    let before = Command::new("sh").args(["-euc", &step.before]).status().unwrap();
    assert!(before.success(), "{case}: the commands before fail: {}", step.before);
    let mut command = Command::new("/bin/sh");
    command.args([
        "-c",
        &format!("umask {}; exec {} \"$0\" \"$@\"", step.umask, step.prefix()),
        "/var/program/sops-install-secrets",
    ]);
    command.args(&step.arguments).env_clear().envs(step.environment()).stdin(Stdio::null());
    if job.is_bare {
        command.env("PATH", "/var/program");
    }
    if step.uid != 0 {
        command.uid(step.uid).gid(step.uid);
    }
    let watch = step.opened.as_deref().map(|path| {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
        // Two openings with nothing between would be told as one.
        inotify.add_watch(path, AddWatchFlags::IN_OPEN | AddWatchFlags::IN_CLOSE_NOWRITE).unwrap();
        inotify
    });
    let Output { status, stdout, stderr } = output(command);
    let stderr = String::from_utf8_lossy(&stderr);
    let mut seen = vec![match status.code() {
        Some(code) => format!("exit {code}"),
        None => format!("killed by signal {}", status.signal().unwrap()),
    }];
    seen.extend(String::from_utf8_lossy(&stdout).lines().map(|line| format!("stdout {line}")));
    seen.extend(stderr.lines().filter(|line| line.contains("Imported")).map(|line| format!("stderr {line}")));
    seen.extend(
        stderr.lines().filter(|line| line.starts_with("would ")).map(|line| format!("stderr {line}")),
    );
    for text in &step.mentions {
        seen.push(format!(
            "stderr {} {text:?}",
            if stderr.contains(text) { "mentions" } else { "does not mention" }
        ));
    }
    if let (Some(inotify), Some(path)) = (watch, &step.opened) {
        let events = inotify.read_events().unwrap_or_default();
        let opened = events.iter().filter(|event| event.mask.contains(AddWatchFlags::IN_OPEN)).count();
        seen.push(format!("opened {path} {opened} times"));
    }
    // They are told once, by the step that caused them.
    let told = fs::read_to_string("/run/systemctl.log").unwrap_or_default();
    seen.extend(told.lines().map(str::to_owned));
    fs::write("/run/systemctl.log", "").unwrap();
    seen.extend(mounts());
    for top in TOP {
        look(Path::new(top), &mut seen);
    }
    seen
}

/// What is mounted below `/run`. Options that differ between kernels are left out.
fn mounts() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = table.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(4);
        let (point, flags) = (mount.next()?, mount.next()?);
        let mut file_system = file_system.split(' ');
        let (kind, _, options) = (file_system.next()?, file_system.next()?, file_system.next()?);
        let told =
            |option: &&str| ["nodev", "nosuid", "noexec"].contains(option) || option.starts_with("mode=");
        let options: Vec<&str> = flags.split(',').chain(options.split(',')).filter(told).collect();
        point.starts_with("/run/").then(|| format!("mount {point} {kind} {}", options.join(",")))
    });
    mounts.collect()
}

/// Adds a line for everything in the directory and below, in order.
fn look(directory: &Path, seen: &mut Vec<String>) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if GIVEN.iter().any(|given| path == Path::new(given)) {
            continue;
        }
        let found = fs::symlink_metadata(&path).unwrap();
        let kind = found.file_type();
        let owner = format!("{}:{}", found.uid(), found.gid());
        let mut line = format!("{} ", path.display());
        if kind.is_symlink() {
            // The mode of a link means nothing.
            write!(line, "l {owner} -> {}", fs::read_link(&path).unwrap().display()).unwrap();
        } else {
            let letter = match kind {
                _ if kind.is_dir() => 'd',
                _ if kind.is_fifo() => 'p',
                _ => 'f',
            };
            write!(line, "{letter} {:04o} {owner}", found.mode() & 0o7777).unwrap();
        }
        if kind.is_file() {
            write!(line, " {}", content(&path)).unwrap();
        }
        seen.push(line);
        if kind.is_dir() {
            look(&path, seen);
        }
    }
}

fn content(path: &Path) -> String {
    use sha2::Digest as _;
    let bytes = fs::read(path).unwrap();
    match std::str::from_utf8(&bytes) {
        // It has a date, and keys that a search for lost secrets would report.
        Ok(text) if text.starts_with("# generated by sops-nix at ") => "(private keys)".into(),
        Ok(text) if text.len() <= SHOWN => format!("{text:?}"),
        _ => format!("{} bytes, sha256 {:x}", bytes.len(), sha2::Sha256::digest(&bytes)),
    }
}
