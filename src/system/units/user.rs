//! Tells the service managers of users, which run for those that are logged in or linger, which of their units use
//! what changed.
//!
//! Everything that a user owns may be a trap: each manager is asked by a program that is that user, has nothing of
//! ours in its environment, and may not take long. So what a user's manager says is a warning at most, and never
//! fails an activation of the machine. Only who activates their own secrets is to blame for a name that is wrong.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid};

use crate::system::directory::Directory;
use crate::system::process::{self, Limits, Output, ProcessError, Variables};
use crate::system::workers;

/// Where the managers of users have their directories, named by uid; file-hierarchy(7).
const RUNTIME_DIRECTORIES: &str = "/run/user";
/// The socket of a manager below its directory. Without it none runs.
const SOCKET: &str = "systemd/private";
/// Activation scripts have no `PATH`.
const SYSTEMCTL: [&str; 2] = ["/run/current-system/sw/bin/systemctl", "/usr/bin/systemctl"];
/// `systemctl`'s exit status for a unit that is not there: many a user does not have it.
const NO_SUCH_UNIT: i32 = 5;
/// For all managers together.
const TIME: Duration = Duration::from_secs(10);
/// Managers that are told at once, so that those that hang do not keep the others waiting.
const AT_ONCE: usize = 16;
/// Of what `systemctl` says.
const OUTPUT_LIMIT: usize = 64 << 10;

/// Why a user's units were not restarted.
#[derive(Debug, thiserror::Error)]
pub enum UserUnitsError {
    #[error("'systemctl' is neither on PATH nor in its usual places")]
    NoSystemctl,
    #[error(
        "the units of users were not told: this program cannot part with its terminal, and theirs would have it, too (it leads a pipeline or a session)"
    )]
    Terminal,
    #[error("the units of user {uid} were not told: those of others took all the time")]
    NoTime { uid: Uid },
    /// All others were told.
    #[error("there is no unit '{unit}', so 'systemctl --user try-restart' did nothing for it")]
    Unknown { unit: String },
    /// It may be that of a user who is not there.
    #[error("no user who is logged in or lingers has a unit '{unit}'")]
    NobodyHas { unit: String },
    #[error("the units of user {uid} were not told: {cause}")]
    Process { uid: Uid, cause: ProcessError },
    #[error("the units of user {uid} were not told: 'systemctl --user try-restart' failed{}", said(.words.as_deref()))]
    Failed { uid: Uid, words: Option<String> },
}

impl UserUnitsError {
    /// No manager was told, because there was nothing to tell it by, or it was not safe.
    #[must_use]
    pub fn is_nobody_asked(&self) -> bool {
        matches!(self, Self::NoSystemctl | Self::Terminal)
    }
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
pub(super) fn restart(units: &[String], own_only: bool, path: Option<&OsStr>) -> Vec<UserUnitsError> {
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
    // What is told by root as root may have it.
    if managers.iter().any(|manager| manager.uid != Uid::effective()) && !process::leave_terminal() {
        return vec![UserUnitsError::Terminal];
    }
    let path = path.unwrap_or_default();
    let (mut errors, unknown) = tell(&managers, &Order { systemctl: &systemctl, path, units }, TIME);
    errors.extend(unknown.into_iter().map(|unit| {
        if own_only { UserUnitsError::Unknown { unit } } else { UserUnitsError::NobodyHas { unit } }
    }));
    errors
}

/// What managers are told.
struct Order<'o> {
    systemctl: &'o Path,
    /// `PATH`
    path: &'o OsStr,
    units: &'o [String],
}

/// What failed, and the units that no manager has, if all have answered.
fn tell(managers: &[Manager], order: &Order<'_>, time: Duration) -> (Vec<UserUnitsError>, Vec<String>) {
    let start = Instant::now();
    let told = workers::map(managers, AT_ONCE, |manager| manager.restart(order, start, time));
    let unknown_to_all = |unit: &&String| {
        let mut answers = told.iter();
        answers.all(|answer| answer.as_ref().is_ok_and(|unknown| unknown.contains(unit)))
    };
    let unknown = order.units.iter().filter(unknown_to_all).cloned().collect();
    (told.into_iter().filter_map(Result::err).collect(), unknown)
}

impl Manager {
    /// Returns the units that it does not have.
    fn restart<'o>(
        &self,
        order: &Order<'o>,
        start: Instant,
        time: Duration,
    ) -> Result<Vec<&'o String>, UserUnitsError> {
        let uid = self.uid;
        let left = || time.saturating_sub(start.elapsed());
        if left().is_zero() {
            return Err(UserUnitsError::NoTime { uid });
        }
        let told = self.ask(order, &["--no-block", "try-restart", "--"], left())?;
        match told.status.code() {
            Some(0) => Ok(Vec::new()),
            Some(NO_SUCH_UNIT) => {
                // They were told: that it is not known which are missing is no failure.
                let states = self.ask(order, &["show", "--property=LoadState", "--"], left());
                Ok(states.map(|states| not_found(order.units, states.stdout.expose())).unwrap_or_default())
            }
            _ => Err(UserUnitsError::Failed { uid, words: process::last_line(&told.stderr) }),
        }
    }

    /// What `systemctl` answers to the user whose manager it is.
    fn ask(&self, order: &Order<'_>, verb: &[&str], time: Duration) -> Result<Output, UserUnitsError> {
        let uid = self.uid;
        let units = order.units.iter().map(String::as_str);
        let arguments: Vec<&str> = ["--user"].into_iter().chain(verb.iter().copied()).chain(units).collect();
        let environment: Variables = vec![
            ("PATH".into(), order.path.to_owned()),
            ("XDG_RUNTIME_DIR".into(), self.runtime_directory.clone().into()),
        ];
        let limits = Limits { time, output: OUTPUT_LIMIT };
        let ended = if uid == Uid::effective() {
            process::run(order.systemctl, &arguments, &environment, b"", limits)
        } else {
            process::run_as((uid, self.gid), order.systemctl, &arguments, &environment, limits)
        };
        ended.map_err(|cause| UserUnitsError::Process { uid, cause })
    }
}

/// Those of `units` that are not found, by what `systemctl show` says of each in turn. A manager that answers something
/// else has all.
fn not_found<'u>(units: &'u [String], states: &[u8]) -> Vec<&'u String> {
    let lines = states.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"LoadState="));
    let states: Vec<&[u8]> = lines.collect();
    if states.len() != units.len() {
        return Vec::new();
    }
    units
        .iter()
        .zip(states)
        .filter(|(_, state)| *state == b"LoadState=not-found")
        .map(|(unit, _)| unit)
        .collect()
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
    use std::process::Command;

    #[test]
    fn managers_that_hang_take_one_limit_together_and_keep_no_other_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let systemctl = dir.path().join("systemctl");
        let script =
            "#!/bin/sh\n: > $XDG_RUNTIME_DIR.told; case $XDG_RUNTIME_DIR in *hangs*) sleep 60;; esac";
        // By another program: what this one has open to write, another thread may give to a child, and then it is busy.
        let mut writer = Command::new("/bin/sh");
        writer.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 700 \"$0\""]).arg(&systemctl).arg(script);
        assert!(writer.status().unwrap().success());
        let (uid, gid) = (Uid::effective(), Gid::effective());
        let manager = |name: String| Manager { uid, gid, runtime_directory: dir.path().join(name) };
        let order =
            Order { systemctl: &systemctl, path: env!("PATH").as_ref(), units: &["a.service".into()] };
        let mut managers: Vec<Manager> =
            (1..AT_ONCE).map(|number| manager(format!("hangs-{number}"))).collect();
        managers.extend((0..4).map(|number| manager(format!("fine-{number}"))));
        let (limit, start) = (Duration::from_secs(3), Instant::now());
        let (failed, unknown) = tell(&managers, &order, limit);
        assert!(start.elapsed() < 2 * limit);
        assert_eq!((failed.len(), unknown.len()), (AT_ONCE - 1, 0));
        assert!((0..4).all(|number| dir.path().join(format!("fine-{number}.told")).exists()));
        let (failed, _) = tell(&managers, &order, Duration::ZERO);
        assert_eq!(failed.len(), managers.len());
        let all = failed.iter().all(|error| matches!(error, UserUnitsError::NoTime { .. }));
        assert!(all, "where all time is gone, nobody is asked");
    }

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
