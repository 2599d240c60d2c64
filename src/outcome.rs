//! What becomes of each file of a plan, those that fail included, and the table that tells of these at the end.
//!
//! A file that cannot be produced stays, access and all, what it is in the live generation, or absent. One that has its
//! content, but an owner or group that does not exist, is installed for root alone: the content is right, and nobody
//! gets to read it who should not. So no failure reaches another file, but for templates that need a failed secret.

use std::collections::BTreeSet;

use crate::decrypted::{Failure, File};
use crate::diagnostic::{Diagnostic, Printable, Report};
use crate::plan::access::{Mode, Ownership};
use crate::plan::{Plan, Target};
use crate::secret::Plaintext;
use crate::system::accounts::Accounts;
use crate::system::file::FileError;
use crate::system::generation::{Entry, Wanted};
use crate::system::live::LiveGeneration;

const ROOT: Ownership = Ownership { uid: 0, gid: 0 };
const ROOT_ONLY: Mode = Mode(0o400);

/// One file of the plan.
pub struct Outcome<'d> {
    pub target: &'d Target,
    pub wanted: Wanted<'d>,
    /// Why it is not as the manifest asks, in one line.
    pub failure: Option<String>,
}

/// What a file that failed is after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Kept,
    Absent,
    RootOnly,
}

/// The outcome of every file, in the plan's order, and a diagnostic of each problem that was not told with a sops file.
#[must_use]
pub fn of_files<'d>(files: &'d [File<'_>], accounts: &Accounts) -> (Vec<Outcome<'d>>, Report) {
    let mut report = Report::default();
    let outcomes = files.iter().map(|file| of_file(file, accounts, &mut report)).collect();
    (outcomes, report)
}

fn of_file<'d>(file: &'d File<'_>, accounts: &Accounts, report: &mut Report) -> Outcome<'d> {
    let target = file.target;
    let kept = |why| Outcome { target, wanted: Wanted::AsBefore(&target.name), failure: Some(why) };
    let owner = accounts.resolve(&target.access).inspect_err(|error| {
        report.push(
            Diagnostic::new(format!("{}: {error}", target.title)).help(error.help(Some(&target.option))),
        );
    });
    let content = match &file.content {
        Ok(content) => Plaintext::expose(content),
        Err(failure) => {
            if let Failure::Own(diagnostic) = failure {
                report.push(diagnostic.clone());
            }
            return kept(failure.reason(target));
        }
    };
    let written = |ownership, mode| Wanted::File(Entry { name: &target.name, ownership, mode, content });
    match owner {
        Ok(ownership) => Outcome { target, wanted: written(ownership, target.access.mode), failure: None },
        Err(error) if error.is_unknown() => {
            Outcome { target, wanted: written(ROOT, ROOT_ONLY), failure: Some(error.to_string()) }
        }
        // Who asks a server that does not answer keeps the access that was right before.
        Err(error) => kept(error.to_string()),
    }
}

/// Names of the files that failed.
#[must_use]
pub fn failed<'d>(outcomes: &[Outcome<'d>]) -> BTreeSet<&'d str> {
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some());
    failed.map(|outcome| outcome.target.name.as_str()).collect()
}

/// What there would be to install, beside what stays as it is.
pub fn has_files(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| matches!(outcome.wanted, Wanted::File(_)))
}

/// That nothing was done because of the failures, if there are any.
///
/// # Errors
/// With that.
pub fn all_or_nothing(plan: &Plan, outcomes: &[Outcome]) -> Result<(), Diagnostic> {
    let failed = failed(outcomes).len();
    if failed == 0 {
        return Ok(());
    }
    let counted = count(plan, failed, "failed");
    Err(Diagnostic::new(format!("nothing is changed, because {counted} and 'onFailure' is \"abort\"")))
}

/// Each file that failed, what it is now, and why, if there is one. `live` is the generation that is live now; `dry` says
/// that nothing was done.
#[must_use]
pub fn table(
    plan: &Plan,
    outcomes: &[Outcome],
    live: Option<&LiveGeneration>,
    dry: bool,
) -> Option<Diagnostic> {
    let rows: Vec<Row> = outcomes
        .iter()
        .filter_map(|outcome| {
            let why = outcome.failure.as_deref()?;
            let title = Printable(&outcome.target.title).to_string();
            let (state, why) = match outcome.state(live) {
                Ok(state) => (state.words(dry), why.to_owned()),
                Err(error) => ("not known", format!("{why}; {error}")),
            };
            Some(Row { title, state, why })
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let counted = count(plan, rows.len(), if dry { "would fail" } else { "failed" });
    Some(aligned(&rows).into_iter().fold(Diagnostic::new(counted), Diagnostic::note))
}

impl Outcome<'_> {
    /// An error is why the live generation could not be looked at.
    fn state(&self, live: Option<&LiveGeneration>) -> Result<State, FileError> {
        match (&self.wanted, live) {
            (Wanted::File(_), _) => Ok(State::RootOnly),
            (Wanted::AsBefore(_), None) => Ok(State::Absent),
            (Wanted::AsBefore(name), Some(live)) => {
                Ok(if live.owner(name)?.is_some() { State::Kept } else { State::Absent })
            }
        }
    }
}

impl State {
    fn words(self, dry: bool) -> &'static str {
        match (self, dry) {
            (Self::Kept, false) => "kept as it was",
            (Self::Kept, true) => "would be kept",
            (Self::Absent, false) => "absent",
            (Self::Absent, true) => "would be absent",
            (Self::RootOnly, _) => "for root only",
        }
    }
}

/// `2 of 7 secrets failed`.
fn count(plan: &Plan, failed: usize, verb: &str) -> String {
    let all = plan.secrets.len() + plan.templates.len();
    let noun = match (plan.secrets.is_empty(), plan.templates.is_empty()) {
        (false, false) => "secrets and templates",
        (_, true) if all == 1 => "secret",
        (_, true) => "secrets",
        (true, false) if all == 1 => "template",
        (true, false) => "templates",
    };
    if all == 1 { format!("the only {noun} {verb}") } else { format!("{failed} of {all} {noun} {verb}") }
}

struct Row {
    /// As it is printed.
    title: String,
    state: &'static str,
    why: String,
}

/// A line for each row, in columns. A title that is far too long stands out, and does not push all others to the right.
fn aligned(rows: &[Row]) -> Vec<String> {
    const WIDEST: usize = 48;
    let titles = rows.iter().map(|row| row.title.chars().count());
    let title_width = titles.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    let state_width = rows.iter().map(|row| row.state.len()).max().unwrap_or(0);
    let line =
        |Row { title, state, why }: &Row| format!("{title:title_width$}   {state:state_width$}   {why}");
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_but_for_a_name_that_is_far_too_long() {
        let long = "x".repeat(60);
        let row = |title: &str, state| Row { title: title.to_owned(), state, why: "why".to_owned() };
        assert_eq!(
            aligned(&[row("secret 'ü'", "absent"), row("s", "kept as it was"), row(&long, "absent")]),
            [
                "secret 'ü'   absent           why".to_owned(),
                "s            kept as it was   why".to_owned(),
                format!("{long}   absent           why")
            ]
        );
    }
}
