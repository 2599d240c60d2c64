//! What is said of a change when it is done, or would be: to the units that use what changed, and in the log.

use std::io::Write as _;

use crate::changes::{Changes, Units};
use crate::diagnostic::{Diagnostic, Printable, Report};
use crate::plan::{Plan, Target};
use crate::system::live::Differences;
use crate::system::units::{Messenger, UnitsError};

/// Names for the log and for units.
#[must_use]
pub fn changes(differences: &Differences) -> Changes {
    Changes {
        added: differences.added.iter().map(|name| name.as_str().to_owned()).collect(),
        modified: differences.modified.iter().map(|name| name.as_str().to_owned()).collect(),
        removed: differences.removed.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
    }
}

/// Tells the units of the machine. Everything is tried.
pub fn tell_machine(plan: &Plan, units: &Units, messenger: &Messenger, report: &mut Report) {
    report.extend(messenger.tell(units).iter().filter_map(|error| not_told(plan, error)));
}

/// Tells the units of users. Everything is tried.
pub fn tell_users(units: &Units, messenger: &Messenger) {
    for warning in messenger.tell_users(units) {
        tracing::warn!("{}", Printable(&warning.to_string()));
    }
}

/// `logging.secretChanges`. A user's activation logs nothing, as in the original.
///
/// # Errors
/// When that cannot be written.
pub fn log(plan: &Plan, changes: &Changes, dry: bool) -> Result<(), Diagnostic> {
    if plan.user_mode || !plan.logging.secret_changes {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    for line in changes.lines(dry) {
        writeln!(out, "{}", Printable(&line)).map_err(|error| not_written(&error))?;
    }
    Ok(())
}

/// That standard output takes nothing.
#[must_use]
pub fn not_written(error: &std::io::Error) -> Diagnostic {
    Diagnostic::new(format!("cannot write to standard output: {error}"))
}

/// None for a unit that nobody names: a run before this one was killed, and the unit has gone with its secret since.
fn not_told(plan: &Plan, error: &UnitsError) -> Option<Diagnostic> {
    let diagnostic = Diagnostic::new(error.to_string());
    let UnitsError::Unknown { unit, .. } = error else { return Some(diagnostic) };
    let names_it =
        |target: &&Target| target.restart_units.contains(unit) || target.reload_units.contains(unit);
    let titles: Vec<&str> = plan.targets().filter(names_it).map(|target| target.title.as_str()).collect();
    let told = diagnostic
        .note(format!("named by {}", titles.join(", ")))
        .help("correct its name in `restartUnits` or `reloadUnits`, or leave it out there");
    (!titles.is_empty()).then_some(told)
}
