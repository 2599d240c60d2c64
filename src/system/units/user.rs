//! Tells the service managers of users, which run for those that are logged in or linger, which of their units use
//! what changed.
//!
//! Everything that a user owns may be a trap: each manager is asked by a program that is that user, has nothing of
//! ours in its environment, and may not take long. So what a user's manager says is a warning at most, and never
//! fails an activation of the machine.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Gid, Uid};

use crate::system::directory::Directory;
use crate::system::process::{self, Limits, ProcessError, Variables};

/// Where the managers of users have their directories, named by uid; file-hierarchy(7).
const RUNTIME_DIRECTORIES: &str = "/run/user";
/// The socket of a manager below its directory. Without it none runs.
const SOCKET: &str = "systemd/private";
/// Activation scripts have no `PATH`.
const SYSTEMCTL: [&str; 2] = ["/run/current-system/sw/bin/systemctl", "/usr/bin/systemctl"];
/// `systemctl`'s exit status for a unit that is not there: most users do not have it.
const NO_SUCH_UNIT: i32 = 5;
const LIMITS: Limits = Limits { time: Duration::from_secs(10), output: 64 << 10 };

/// Why a user's units were not restarted.
#[derive(Debug, thiserror::Error)]
pub enum UserUnitsError {
    #[error("'systemctl' is neither on PATH nor in its usual places")]
    NoSystemctl,
    #[error("the units of user {uid} were not told: {cause}")]
    Process { uid: Uid, cause: ProcessError },
    #[error("the units of user {uid} were not told: 'systemctl --user try-restart' failed{}", said(.words.as_deref()))]
    Failed { uid: Uid, words: Option<String> },
}

fn said(words: Option<&str>) -> String {
    words.map(|words| format!(": {words}")).unwrap_or_default()
}

/// A service manager of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Manager {
    uid: Uid,
    gid: Gid,
    runtime_directory: PathBuf,
}

/// Restarts `units` where they run: in every manager there is, or in that of the user who runs this program. Everything
/// is tried; the failures are returned.
pub(super) fn restart(units: &[&str], own_only: bool, path: Option<&OsStr>) -> Vec<UserUnitsError> {
    if units.is_empty() {
        return Vec::new();
    }
    let mut managers = managers(Path::new(RUNTIME_DIRECTORIES));
    managers.retain(|manager| !own_only || manager.uid == Uid::effective());
    if managers.is_empty() {
        return Vec::new();
    }
    let usual = || SYSTEMCTL.iter().map(PathBuf::from).find(|file| file.exists());
    let Some(systemctl) = process::find("systemctl".as_ref(), path).or_else(usual) else {
        return vec![UserUnitsError::NoSystemctl];
    };
    let mut arguments = vec!["--user", "--no-block", "try-restart", "--"];
    arguments.extend(units);
    let tell = |manager: &Manager| {
        let uid = manager.uid;
        let environment: Variables = vec![
            ("PATH".into(), path.unwrap_or_default().to_owned()),
            ("XDG_RUNTIME_DIR".into(), manager.runtime_directory.clone().into()),
        ];
        let ended = if uid == Uid::effective() {
            process::run(&systemctl, &arguments, &environment, b"", LIMITS)
        } else {
            process::run_as((uid, manager.gid), &systemctl, &arguments, &environment, LIMITS)
        };
        let ended = ended.map_err(|cause| UserUnitsError::Process { uid, cause })?;
        match ended.status.code() {
            Some(0 | NO_SUCH_UNIT) => Ok(()),
            _ => Err(UserUnitsError::Failed { uid, words: process::last_line(&ended.stderr) }),
        }
    };
    managers.iter().filter_map(|manager| tell(manager).err()).collect()
}

/// The managers that run, in the order of their users' numbers.
fn managers(directories: &Path) -> Vec<Manager> {
    // Not the standard library's listing, which panics when the directory cannot be closed.
    let names = Directory::open(directories).and_then(|directory| directory.names()).unwrap_or_default();
    let mut managers: Vec<Manager> = names
        .iter()
        .filter(|name| name.to_str().is_some_and(|name| name.parse::<u32>().is_ok()))
        .filter_map(|name| manager(&directories.join(name)))
        .collect();
    managers.sort_by_key(|manager| manager.uid.as_raw());
    managers
}

fn manager(runtime_directory: &Path) -> Option<Manager> {
    // The directory is root's doing; what is in it is the user's, and only looked at.
    let directory = fs::symlink_metadata(runtime_directory).ok()?;
    let socket = fs::symlink_metadata(runtime_directory.join(SOCKET)).ok()?;
    (directory.is_dir() && socket.file_type().is_socket()).then(|| Manager {
        uid: Uid::from_raw(directory.uid()),
        gid: Gid::from_raw(directory.gid()),
        runtime_directory: runtime_directory.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_manager_is_a_directory_named_by_number_with_a_socket() {
        let root = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let path = root.path().join(name).join("systemd");
            fs::create_dir_all(&path).unwrap();
            path.join("private")
        };
        let running = place("1000");
        UnixListener::bind(&running).unwrap();
        place("1001");
        fs::write(place("1002"), "").unwrap();
        UnixListener::bind(place("name")).unwrap();
        std::os::unix::fs::symlink(root.path().join("1000"), root.path().join("1003")).unwrap();
        std::os::unix::fs::symlink(&running, place("1004")).unwrap();
        let found: Vec<PathBuf> =
            managers(root.path()).into_iter().map(|manager| manager.runtime_directory).collect();
        assert_eq!(found, [root.path().join("1000")]);
        assert_eq!(managers(&root.path().join("none")), []);
    }
}
