//! The record: tables of what was done to each kind of run, and what was seen.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::OTHERS_PART;
use super::judge::FAULTS;
use super::tally::Tally;

pub const PAGE: &str = "docs/reference/crash-matrix.md";

const HEAD: &str = "# Runs that are killed, refused, or cut short

Written by a test (`tests/matrix/run`, which takes its time; `cargo test` takes one point in some dozens). Each kind of run is made
once to see its system calls. Then, for each call, the machine is made anew and the run is made again, and at that call

* it is killed (SIGKILL), or
* the call is refused with one of EACCES, EINTR, EIO, EMFILE, ENOMEM, ENOSPC and EPERM: each that the call's manual page has, and EIO
  where a file system can give it all the same, or
* the kernel writes only half of what a `write` has, and the next one goes on, or finds no room (ENOSPC). For this the program runs under
  a debugger that changes the count it gives to the kernel; strace could only lie about the answer.

Calls are counted from the program's execution on, those of the dynamic loader and of the runtime before `main` included. Calls that
cannot give one of these errors are only killed at. A point counts only if strace's log shows it (`(INJECTED)`, `+++ killed by
SIGKILL +++`), or the debugger saw that the rest was asked for; one that did not happen is tried again, since threads share the work in another way
each time, and is *missed* after fifty times. Calls are counted in each thread: the first thread opens files and tells units, another one reads
and opens sops files, and where `systemctl` is told, others put secrets in place. What happens to a call of one happens to that of
another that is as far in its count, too. So what is done to a sops file is counted by itself. Only those calls
are planned that each of four runs had, and none by which threads wait for each other.

On the machine everything but memory of its own is read-only, and all of that is searched. After each point:

* the live generation is the old one or the new one, whole: every name, byte, permission and owner. After an error, and only then, each secret may
  be the old or the new one, if the message names those that are not new;
* no secret is anywhere but in the store, in copies that were asked for, or in a private directory in which such a copy is made; and
  not in what the program says;
* links and copies are as before or as they should be, and no new link leads to nothing;
* units were told only of what happened, in lists and by `systemctl`;
* the exit status is 0 only if everything was done, or a warning says what was not; an error names the object of the call, and what could not be removed;
* the same run once more succeeds, says what it says on a machine to which nothing happened, leaves exactly the same tree, with no
  temporary file, and units that a killed run did not tell have been told after it.

What is taken for right: a file of the live generation that cannot be read is written anew, and its units are told. A generation that was
being removed when the run was killed is half empty until the next run, whether or not anything changes in that; nothing points at it, and
where `keepGenerations` was raised meanwhile it stays so until it is old enough.

";

/// What was planned, what happened and how often something was wrong.
pub fn table(tallies: &[(String, Tally)]) -> String {
    let mut table = String::from(
        "| run | calls | of these before `main` | points | happened | missed | tried again | bad |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut sum = Tally::default();
    for (name, tally) in tallies {
        let Tally { calls, of_loader, planned, fired, missed, retried, faults, .. } = tally;
        let missed = missed.len();
        let bad = bad(faults);
        writeln!(
            table,
            "| {name} | {calls} | {of_loader} | {planned} | {fired} | {missed} | {retried} | {bad} |"
        )
        .unwrap();
        sum.planned += planned;
        sum.fired += fired;
        sum.retried += retried;
        sum.missed.extend(tally.missed.clone());
    }
    let bad: usize = tallies.iter().map(|(_, tally)| bad(&tally.faults)).sum();
    let Tally { planned, fired, retried, .. } = sum;
    writeln!(table, "| **all** | | | {planned} | {fired} | {} | {retried} | {bad} |", sum.missed.len())
        .unwrap();
    table
}

/// Points with at least one fault.
fn bad(faults: &[(String, String)]) -> usize {
    let points: BTreeSet<&str> = faults.iter().map(|(_, at)| at.lines().next().unwrap_or_default()).collect();
    points.len()
}

/// How many points there were of each kind, and how the runs ended, in columns by run.
fn counts(
    tallies: &[(String, Tally)],
    title: &str,
    of: impl Fn(&Tally) -> &std::collections::BTreeMap<String, usize>,
) -> String {
    let names: BTreeSet<&String> = tallies.iter().flat_map(|(_, tally)| of(tally).keys()).collect();
    let runs: Vec<&str> = tallies.iter().map(|(name, _)| name.as_str()).collect();
    let mut table = format!("| {title} | {} | all |\n|{}\n", runs.join(" | "), "---|".repeat(runs.len() + 2));
    for name in names {
        let each: Vec<usize> =
            tallies.iter().map(|(_, tally)| of(tally).get(name).copied().unwrap_or_default()).collect();
        let cells: Vec<String> = each.iter().map(ToString::to_string).collect();
        writeln!(table, "| {name} | {} | {} |", cells.join(" | "), each.iter().sum::<usize>()).unwrap();
    }
    table
}

/// Counts points that were killed, or the others.
type Count<'c> = &'c dyn Fn(&[(String, Tally)], bool) -> String;

fn beside(ours: &[(String, Tally)], theirs: &[(String, Tally)]) -> String {
    let mut table = String::from(
        "| what should not be | sops-activate: killed | refused or cut short | sops-install-secrets: killed | refused or cut short |\n|---|---|---|---|---|\n",
    );
    let is_kill = |at: &str| at.starts_with("SIGKILL");
    let points = |tallies: &[(String, Tally)], killed: bool| -> usize {
        let kinds = tallies.iter().flat_map(|(_, tally)| &tally.kinds);
        kinds.filter(|(name, _)| is_kill(name) == killed).map(|(_, count)| count).sum()
    };
    let row = |name: &str, count: Count| {
        let cells = [count(ours, true), count(ours, false), count(theirs, true), count(theirs, false)];
        format!("| {name} | {} |\n", cells.join(" | "))
    };
    table += &row("*(points)*", &|tallies, killed| points(tallies, killed).to_string());
    for fault in FAULTS {
        table += &row(fault, &|tallies, killed| {
            if tallies.as_ptr() == theirs.as_ptr() && NOT_JUDGED.contains(&fault) {
                return "not judged".to_owned();
            }
            let count: usize =
                tallies.iter().map(|(_, tally)| tally.faulty(fault, |at| is_kill(at) == killed)).sum();
            count.to_string()
        });
    }
    table
}

/// Its messages have other forms.
const NOT_JUDGED: [&str; 2] = ["left behind, and not told", "the error does not name its object"];

pub fn page(ours: &[(String, Tally)], theirs: &[(String, Tally)]) -> String {
    let mut page = HEAD.to_owned();
    let part = OTHERS_PART;
    write!(
        page,
        "## Points\n\n{}\n## What was done\n\n{}\n## How the runs ended, and what was live then\n\n*Aborted*: no memory, which the runtime answers with SIGABRT. *Not \
         started*: the loader gave up. *Told*: exit status 1.\n\n{}\n",
        table(ours),
        counts(ours, "at the call", |tally| &tally.kinds),
        counts(ours, "end", |tally| &tally.outcomes),
    )
    .unwrap();
    write!(
        page,
        "## Beside the program that it replaces\n\nThe same, made by the same test, with sops-install-secrets (Go; `GOMAXPROCS=1`): one in {part} of its points, \
         chosen by a hash of the call, because it makes many more calls. Strace counts in each of its threads. What a point is judged by is \
         what the program itself leaves when nothing happens to it. It has no copies (they are links there), and keeps \
         the host's private key in the store. *Missed* are calls that the threads of its runtime did not make again in so many tries. \
         A run without a row was not made with it.\n\n\
         What does not heal there are directories with a name made of a random number beside links, in `/etc` or a home, that no later run \
         removes. Units are told before the link moves. A group file that cannot be opened, for want of memory or of descriptors, passes for one \
         without `keys`: the secrets are installed for `nogroup`, with success.\n\n{}\n{}\n",
        beside(ours, theirs),
        table(theirs),
    )
    .unwrap();
    page
}
