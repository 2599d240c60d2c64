//! Tells systemd, or whoever runs the activation, which units use what changed.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use super::file::{FileError, words};
use crate::changes::Units;
use crate::diagnostic::Printable;

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

/// Tells of every unit. Everything is tried; the failures are returned.
#[must_use]
pub fn tell(units: &Units<'_>, channel: Channel) -> Vec<UnitsError> {
    let told = match channel {
        Channel::Systemctl => {
            [systemctl("try-restart", &units.restart), systemctl("try-reload-or-restart", &units.reload)]
        }
        Channel::WouldSystemctl => {
            say("restart", &units.restart);
            say("reload", &units.reload);
            return Vec::new();
        }
        Channel::Lists => [
            append("/run/nixos/activation-restart-list", &units.restart),
            append("/run/nixos/activation-reload-list", &units.reload),
        ],
        Channel::DryLists => [
            append("/run/nixos/dry-activation-restart-list", &units.restart),
            append("/run/nixos/dry-activation-reload-list", &units.reload),
        ],
    };
    told.into_iter().filter_map(Result::err).collect()
}

/// Without blocking: the program runs before the units that it restarts may start, so waiting for one would be for
/// ever. `try-` leaves alone what does not run: it will start with the new secret.
fn systemctl(verb: &'static str, units: &[&str]) -> Result<(), UnitsError> {
    if units.is_empty() {
        return Ok(());
    }
    // Few units have such names, `-.mount` among them; all others are given as the original gives them.
    let looks_like_option = units.iter().any(|unit| unit.starts_with('-'));
    let status = Command::new("systemctl")
        .args(["--no-block", verb])
        .args(looks_like_option.then_some("--"))
        .args(units)
        .stdin(Stdio::null())
        // Standard output is for the changes of secrets.
        .stdout(std::io::stderr())
        .status()
        .map_err(|cause| UnitsError::Start { verb, cause })?;
    if status.success() { Ok(()) } else { Err(UnitsError::Failed { verb, status, units: units.join(", ") }) }
}

fn say(verb: &str, units: &[&str]) {
    let lines: Vec<String> = units.iter().map(|unit| format!("would {verb} {}\n", Printable(unit))).collect();
    // There is nobody to tell when standard error is gone.
    let _ = std::io::stderr().lock().write_all(lines.concat().as_bytes());
}

/// Appends to a list, if there is anybody who will read it.
fn append(list: &str, units: &[&str]) -> Result<(), UnitsError> {
    let path = Path::new(list);
    if units.is_empty() || !path.parent().is_some_and(Path::exists) {
        return Ok(());
    }
    let lines = units.join("\n") + "\n";
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| FileError::io("open", path, error))?;
    file.write_all(lines.as_bytes()).map_err(|error| FileError::io("write to", path, error).into())
}
