//! Tells systemd, or whoever runs the activation, which units use what changed.

mod user;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use super::file::{FileError, words};
use crate::changes::Units;
use crate::diagnostic::Printable;
use crate::plan::Plan;
pub use user::UserUnitsError;

/// Where switch-to-configuration looks for lists of units.
pub const LISTS: &str = "/run/nixos";
/// The exit status of `systemctl` when a unit is not there.
const NO_SUCH_UNIT: i32 = 5;

/// How units are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// By `systemctl`: the program runs as a unit, and nobody reads the lists any more.
    Systemctl,
    /// In the lists that switch-to-configuration reads after the activation script.
    Lists,
    /// On standard error: the dry run of [`Channel::Systemctl`].
    WouldSystemctl,
    /// In the lists of a dry activation.
    DryLists,
}

/// Why units could not be told.
#[derive(Debug, thiserror::Error)]
pub enum UnitsError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot run 'systemctl {verb}': {}", words(cause))]
    Start { verb: &'static str, cause: std::io::Error },
    #[error("'systemctl {verb}' failed ({status}) for the units {units}")]
    Failed { verb: &'static str, status: ExitStatus, units: String },
    /// All others were told.
    #[error("there is no unit '{unit}', so 'systemctl {verb}' did nothing for it")]
    Unknown { verb: &'static str, unit: String },
}

impl UnitsError {
    /// No unit was told, because there was nothing to tell it by.
    #[must_use]
    pub fn is_nobody_asked(&self) -> bool {
        matches!(self, Self::Start { .. })
    }
}

impl Channel {
    #[must_use]
    pub fn new(via_systemctl: bool, dry: bool) -> Self {
        match (via_systemctl, dry) {
            (true, false) => Self::Systemctl,
            (true, true) => Self::WouldSystemctl,
            (false, false) => Self::Lists,
            (false, true) => Self::DryLists,
        }
    }

    #[must_use]
    pub fn is_dry(self) -> bool {
        matches!(self, Self::WouldSystemctl | Self::DryLists)
    }
}

/// Tells of changes.
pub struct Messenger {
    pub channel: Channel,
    /// Only the units of the user that runs this program are to be told.
    pub user_mode: bool,
    /// `PATH`, to find `systemctl` for users.
    pub path: Option<OsString>,
}

impl Messenger {
    /// Whether telling the units of this plan, and those that are still to be told, may take other programs.
    #[must_use]
    pub fn may_run_programs(&self, plan: &Plan, untold: &Units) -> bool {
        let told_by_systemctl = self.channel == Channel::Systemctl && !self.user_mode;
        let takes = |units: &[String], users: &[String]| {
            (told_by_systemctl && !units.is_empty()) || !users.is_empty()
        };
        takes(&untold.restart, &untold.restart_user)
            || takes(&untold.reload, &[])
            || plan.targets().any(|target| {
                takes(&target.restart_units, &target.restart_user_units) || takes(&target.reload_units, &[])
            })
    }

    /// Tells of every unit of the machine. Everything is tried; the failures are returned.
    #[must_use]
    pub fn tell(&self, units: &Units) -> Vec<UnitsError> {
        tell(units, self.channel)
    }

    /// Tells of the units of users. Everything is tried; the failures are returned.
    #[must_use]
    pub fn tell_users(&self, units: &Units) -> Vec<UserUnitsError> {
        if self.channel.is_dry() {
            say("restart", " of users", &units.restart_user);
            return Vec::new();
        }
        user::restart(&units.restart_user, self.user_mode, self.path.as_deref())
    }
}

fn tell(units: &Units, channel: Channel) -> Vec<UnitsError> {
    let told = match channel {
        Channel::Systemctl => {
            let mut failed = systemctl("try-restart", &units.restart);
            failed.extend(systemctl("try-reload-or-restart", &units.reload));
            return failed;
        }
        Channel::WouldSystemctl => {
            say("restart", "", &units.restart);
            say("reload", "", &units.reload);
            return Vec::new();
        }
        Channel::Lists => [
            append("activation-restart-list", &units.restart),
            append("activation-reload-list", &units.reload),
        ],
        Channel::DryLists => [
            append("dry-activation-restart-list", &units.restart),
            append("dry-activation-reload-list", &units.reload),
        ],
    };
    told.into_iter().filter_map(Result::err).collect()
}

/// Without blocking: the program runs before the units that it restarts may start, so waiting for one would be for
/// ever. `try-` leaves alone what does not run: it will start with the new secret.
fn systemctl(verb: &'static str, units: &[String]) -> Vec<UnitsError> {
    if units.is_empty() {
        return Vec::new();
    }
    // Few units have such names, `-.mount` among them; all others are given as the original gives them.
    let looks_like_option = units.iter().any(|unit| unit.starts_with('-'));
    let status = Command::new("systemctl")
        .args(["--no-block", verb])
        .args(looks_like_option.then_some("--"))
        .args(units)
        // A key that the environment may hold is none of its business.
        .env_remove("SOPS_AGE_KEY")
        .stdin(Stdio::null())
        // Standard output is for the changes of secrets.
        .stdout(std::io::stderr())
        .status();
    let status = match status {
        Ok(status) if status.success() => return Vec::new(),
        Ok(status) => status,
        Err(cause) => return vec![UnitsError::Start { verb, cause }],
    };
    let unknown = if status.code() == Some(NO_SUCH_UNIT) { unknown(units) } else { Vec::new() };
    if unknown.is_empty() {
        return vec![UnitsError::Failed { verb, status, units: units.join(", ") }];
    }
    unknown.into_iter().map(|unit| UnitsError::Unknown { verb, unit: unit.clone() }).collect()
}

/// Those of `units` that systemd cannot load for want of a file.
fn unknown(units: &[String]) -> Vec<&String> {
    let is_unknown = |unit: &&String| {
        let asked = Command::new("systemctl")
            .args(["show", "--property=LoadState", "--", unit.as_str()])
            .env_remove("SOPS_AGE_KEY")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        asked.is_ok_and(|answer| answer.stdout.trim_ascii() == b"LoadState=not-found")
    };
    units.iter().filter(is_unknown).collect()
}

fn say(verb: &str, whose: &str, units: &[String]) {
    let lines: Vec<String> =
        units.iter().map(|unit| format!("would {verb} {}{whose}\n", Printable(unit))).collect();
    // There is nobody to tell when standard error is gone.
    let _ = std::io::stderr().lock().write_all(lines.concat().as_bytes());
}

/// Appends to a list, if there is anybody who will read it.
fn append(list: &str, units: &[String]) -> Result<(), UnitsError> {
    if units.is_empty() {
        return Ok(());
    }
    let path = Path::new(LISTS).join(list);
    let lines = units.join("\n") + "\n";
    let mut file = match OpenOptions::new().append(true).create(true).mode(0o600).open(&path) {
        Ok(file) => file,
        // There is no directory for lists. Any other answer does not say that nobody reads them.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::io("open", &path, error).into()),
    };
    let before = file.metadata().map_err(|error| FileError::io("look at", &path, error))?.len();
    file.write_all(lines.as_bytes()).map_err(|error| {
        // Half a name would be joined to the next one that somebody appends. The first failure is the one to tell.
        file.set_len(before).ok();
        FileError::io("write to", &path, error).into()
    })
}
