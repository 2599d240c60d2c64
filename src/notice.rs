//! What is said of a change when it is done, or would be: to the units that use what changed, and in the log.

use std::fmt::Display;
use std::io::Write as _;

use crate::changes::{Changes, Units};
use crate::diagnostic::{Diagnostic, Printable, Report};
use crate::plan::{Plan, Target};
use crate::system::live::Differences;
use crate::system::units::{Messenger, UnitsError, UserUnitsError};

/// Names for the log and for units.
#[must_use]
pub fn changes(differences: &Differences) -> Changes {
    Changes {
        added: differences.added.iter().map(|name| name.as_str().to_owned()).collect(),
        modified: differences.modified.iter().map(|name| name.as_str().to_owned()).collect(),
        removed: differences.removed.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
    }
}

/// Whether there was anybody to tell. What fails was told, and is not told again; where nobody could be asked at all, the
/// next run can do it in the place of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Asked {
    Some,
    Nobody,
}

/// Tells the units of the machine. Everything is tried.
pub fn tell_machine(plan: &Plan, units: &Units, messenger: &Messenger, report: &mut Report) -> Asked {
    let errors = messenger.tell(units);
    report.extend(errors.iter().filter_map(|error| not_told(plan, error)));
    Asked::unless(errors.iter().any(UnitsError::is_nobody_asked))
}

/// Tells the units of users. Everything is tried.
pub fn tell_users(plan: &Plan, units: &Units, messenger: &Messenger, report: &mut Report) -> Asked {
    let errors = messenger.tell_users(units);
    let asked = Asked::unless(errors.iter().any(UserUnitsError::is_nobody_asked));
    for error in errors {
        let (UserUnitsError::Unknown { unit } | UserUnitsError::NobodyHas { unit }) = &error else {
            tracing::warn!("{}", Printable(&error.to_string()));
            continue;
        };
        let Some(titles) = named_by(plan, unit, |target| [&target.restart_user_units]) else { continue };
        if let UserUnitsError::Unknown { .. } = error {
            report.push(misnamed(&error, &titles, "`restartUserUnits`"));
        } else {
            let warning = format!("{error}; it is named by {titles} in `restartUserUnits`");
            tracing::warn!("{}", Printable(&warning));
        }
    }
    asked
}

impl Asked {
    fn unless(nobody: bool) -> Self {
        if nobody { Self::Nobody } else { Self::Some }
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

fn not_told(plan: &Plan, error: &UnitsError) -> Option<Diagnostic> {
    let UnitsError::Unknown { unit, .. } = error else { return Some(Diagnostic::new(error.to_string())) };
    let titles = named_by(plan, unit, |target| [&target.restart_units, &target.reload_units])?;
    Some(misnamed(error, &titles, "`restartUnits` or `reloadUnits`"))
}

fn misnamed(error: &impl Display, titles: &str, fields: &str) -> Diagnostic {
    let help = format!("correct its name in {fields}, or leave it out there");
    Diagnostic::new(error.to_string()).note(format!("named by {titles}")).help(help)
}

/// The secrets and templates that name the unit in one of their lists. There are none when a run before this one was
/// killed, and the unit has gone with its secret since.
fn named_by<'p, const N: usize>(
    plan: &'p Plan,
    unit: &String,
    lists: impl Fn(&'p Target) -> [&'p Vec<String>; N],
) -> Option<String> {
    let names_it = |target: &&'p Target| lists(target).iter().any(|list| list.contains(unit));
    let titles: Vec<&str> = plan.targets().filter(names_it).map(|target| target.title.as_str()).collect();
    (!titles.is_empty()).then(|| titles.join(", "))
}
