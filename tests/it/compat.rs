//! What we do beside what sops-install-secrets did: the same cases, each on a machine of its own.
//!
//! A case (`tests/compat/cases`) is a machine and one or more activations of it. What is seen after each of them
//! (exit code, standard output, units told, the whole tree of files and mounts) must be what the original's recorded
//! result (`tests/compat/golden`) says, but for the differences that stand beside it: each is pinned to the line, and
//! has the identifier of the row of `docs/compatibility.md` that explains it and names the case.
//!
//! `tests/compat/remake` records the original's results anew, and compares random histories.

mod case;
mod golden;
mod histories;
mod machine;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use case::{Case, Gpg};
use golden::Golden;
use machine::Seen;

use crate::gnupg::has_gpg;
use crate::machine::{PROGRAM, text};
use crate::namespace::Namespace;

/// The original's binary, if the tester has it.
#[expect(clippy::disallowed_methods, reason = "what only some testers have is named by the environment")]
fn original() -> Option<PathBuf> {
    std::env::var_os("COMPAT_ORIGINAL").map(PathBuf::from)
}

/// Whether golden files are to be written instead of compared with.
#[expect(clippy::disallowed_methods, reason = "what only some testers want is asked by the environment")]
fn is_update() -> bool {
    std::env::var_os("COMPAT_UPDATE").is_some()
}

/// `work` on every item, two for each core: most of a case is waiting for other programs.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(work(item));
        }
        done
    };
    let workers = 2 * thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn every_case_does_what_the_original_did() {
    if Namespace::new().is_none() {
        return;
    }
    let original = original();
    let verdicts: Option<Vec<String>> =
        in_parallel(&case::all(), |case| verdict(case, original.as_deref())).into_iter().collect();
    let Some(verdicts) = verdicts else { return };
    let failures: Vec<String> = verdicts.into_iter().filter(|verdict| !verdict.is_empty()).collect();
    assert!(failures.is_empty(), "{} cases fail\n{}", failures.len(), failures.join("\n"));
}

/// What is wrong with the case, or nothing. None where there are no namespaces.
fn verdict(case: &Case, original: Option<&Path>) -> Option<String> {
    if case.gpg == Some(Gpg::Both) && !has_gpg() {
        eprintln!("skipped: {}: cannot run gpg", case.name);
        return Some(String::new());
    }
    let ours = machine::run(case, PROGRAM.as_ref())?;
    let theirs = match original {
        Some(program) => Some(machine::run(case, program)?),
        None => None,
    };
    let path = Golden::path(&case.name);
    let mut golden = Golden::read(&path).unwrap_or_default();
    let mut wrong = String::new();
    match theirs {
        Some(theirs) if is_update() => {
            golden = golden.updated(theirs, &ours);
            golden.write(&path);
        }
        Some(theirs) if theirs != golden.original => {
            let changed = golden::differences(&golden.original, &theirs);
            wrong = format!(
                "{}: the original does not do what is recorded:\n  {}\n",
                case.name,
                changed.join("\n  ")
            );
        }
        _ => {}
    }
    if let Some(judged) = golden.judge(&ours) {
        let about = if case.about.is_empty() { String::new() } else { format!(" ({})", case.about) };
        write!(wrong, "{}{about}: {judged}", case.name).unwrap();
    }
    Some(wrong)
}

#[test]
fn there_are_enough_cases_that_work_and_no_results_without_a_case() {
    let cases = case::all();
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let golden: Vec<(String, Golden)> = golden::all();
    let recorded: Vec<&str> = golden.iter().map(|(name, _)| name.as_str()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted, recorded, "the cases, and those with a recorded result");
    assert_eq!(sorted.len(), names.len(), "every case has a name of its own");
    let is_done =
        |seen: &Seen| seen.last().is_some_and(|step| step.first().is_some_and(|line| line == "exit 0"));
    let done = golden.iter().filter(|(_, golden)| is_done(&golden.original)).count();
    assert!(names.len() >= 60 && done >= 45, "{} cases, of which {done} exit 0 in the original", names.len());
}

/// The rows of the documentation that explain differences: identifier and the whole row.
fn rows() -> BTreeMap<String, String> {
    let page = text("../docs/compatibility.md");
    let rows = page.lines().filter_map(|line| {
        let (first, _) = line.strip_prefix("| `")?.split_once("` |")?;
        Some((first.to_owned(), line.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_difference_is_explained_by_a_row_that_names_the_case() {
    let rows = rows();
    let mut unexplained = Vec::new();
    for (case, golden) in golden::all() {
        for (identifier, lines) in &golden.differences {
            assert!(!lines.is_empty(), "{case}: '{identifier}' explains nothing");
            match rows.get(identifier) {
                Some(row) if row.contains(&format!("`{case}`")) => {}
                _ => unexplained.push(format!("{case}: {identifier}")),
            }
        }
    }
    assert!(unexplained.is_empty(), "docs/compatibility.md has no row for\n{}", unexplained.join("\n"));
}

#[test]
fn every_row_of_the_documentation_is_shown_by_a_case() {
    let golden = golden::all();
    let shown =
        |identifier: &str| golden.iter().any(|(_, golden)| golden.differences.contains_key(identifier));
    let rows = rows();
    let missing: Vec<&String> = rows.keys().filter(|identifier| !shown(identifier)).collect();
    assert!(!rows.is_empty() && missing.is_empty(), "no case shows {missing:?}");
}

#[test]
#[ignore = "a case, which the other tests start inside a namespace"]
fn inside() {
    #[expect(clippy::disallowed_methods, reason = "a test binary takes no arguments of its own")]
    let job = std::env::var("COMPAT_JOB").unwrap();
    print!(
        "\n@ {}\n",
        serde_json::to_string(&machine::perform(&serde_json::from_str(&job).unwrap())).unwrap()
    );
}

#[test]
#[ignore = "compares with the original, which is not here: tests/compat/remake histories"]
fn histories() {
    let number = |variable: &str, otherwise| {
        #[expect(clippy::disallowed_methods, reason = "a test binary takes no arguments of its own")]
        let text = std::env::var(variable);
        text.map_or(otherwise, |text| text.parse().unwrap())
    };
    let original = original().expect("COMPAT_ORIGINAL names the original");
    histories::compare(&original, number("COMPAT_COUNT", 1000), number("COMPAT_SEED", 1));
}
