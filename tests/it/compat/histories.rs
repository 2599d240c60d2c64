//! Random histories, run by both programs.

mod look;
mod partial;
mod random;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::case::Case;
use super::{golden, in_parallel, machine};
use crate::machine::PROGRAM;
use look::Look;
use partial::Partial;
use rules::{Rules, Stale, Wanted};

/// Both results of a history, and which rows explained what differed.
struct Compared {
    case: Case,
    explained: BTreeSet<&'static str>,
    left: Vec<String>,
}

/// Compares that many histories from that seed, and tells how many differed and why.
///
/// # Panics
/// When a difference is not explained.
pub fn compare(original: &Path, count: u64, seed: u64) {
    let numbers: Vec<u64> = (seed..seed + count).collect();
    let compared = in_parallel(&numbers, |number| {
        let case = random::history(*number);
        let theirs = machine::run(&case, original).expect("root makes namespaces");
        let ours = machine::run(&case, PROGRAM.as_ref()).expect("root makes namespaces");
        let steps = ours.iter().map(|step| step[0].clone()).collect::<Vec<_>>();
        (judge(case, &theirs, &ours), steps)
    });
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut exits: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for (compared, steps) in &compared {
        for reason in &compared.explained {
            *reasons.entry(reason).or_default() += 1;
        }
        for step in steps {
            *exits.entry(step).or_default() += 1;
        }
        if !compared.left.is_empty() {
            let case = serde_json::to_string_pretty(&compared.case).unwrap();
            failures.push(format!("{}:\n  {}\n{case}", compared.case.name, compared.left.join("\n  ")));
        }
    }
    let same = compared
        .iter()
        .filter(|(compared, _)| compared.explained.is_empty() && compared.left.is_empty())
        .count();
    println!("{count} histories from seed {seed}, activations by result: {exits:?}");
    println!("{same} the same to the byte; explained differences, by row: {reasons:?}");
    println!("{} not explained", failures.len());
    assert!(failures.is_empty(), "{}", failures.iter().take(5).cloned().collect::<Vec<_>>().join("\n"));
}

fn judge(case: Case, theirs: &machine::Seen, ours: &machine::Seen) -> Compared {
    let mut compared = Compared { case, explained: BTreeSet::new(), left: Vec::new() };
    if theirs == ours {
        return compared;
    }
    let seen = theirs;
    let mut earlier = (Look::default(), Look::default());
    let mut lists = (BTreeMap::new(), BTreeMap::new());
    for (index, (their_lines, our_lines)) in theirs.iter().zip(ours).enumerate() {
        let their_look = Look::new(their_lines, &mut lists.0);
        let our_look = Look::new(our_lines, &mut lists.1);
        let (mut theirs, mut ours) = (their_look.clone(), our_look.clone());
        let rules = Rules {
            explained: &mut compared.explained,
            their_earlier: &earlier.0,
            our_earlier: &earlier.1,
            our_whole: &our_look,
            wanted: Wanted::by(&compared.case, index),
            stale: Stale::by(&compared.case, index),
            was_dry: compared.case.steps[..=index].iter().any(|step| step.env.contains_key("NIXOS_ACTION")),
            has_failed: has_failed(&seen[..=index]),
        };
        let partial = Partial::new(&compared.case, index);
        if partial.explains(&earlier.0, &earlier.1, &mut theirs, &mut ours) {
            rules.explained.insert("partial");
        }
        rules.apply(&mut theirs, &mut ours);
        let left = golden::differences(&vec![theirs.lines()], &vec![ours.lines()]);
        compared.left.extend(left.iter().map(|line| format!("activation {}: {line}", index + 1)));
        earlier = (their_look, our_look);
    }
    compared
}

fn has_failed(steps: &[Vec<String>]) -> bool {
    steps.iter().any(|step| step[0] != "exit 0")
}
