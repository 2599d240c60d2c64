//! The counts of a history: what was planned, what happened, and what was seen after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// System calls of the run, and how many of them come before the program's own first one.
    pub calls: usize,
    pub of_loader: usize,
    pub planned: usize,
    pub fired: usize,
    /// How often a point had to be tried again.
    pub retried: usize,
    /// The points of each kind that happened: kills, each error, short writes.
    pub kinds: BTreeMap<String, usize>,
    /// How the runs ended.
    pub outcomes: BTreeMap<String, usize>,
    pub missed: Vec<String>,
    /// What should not be, and at which point.
    pub faults: Vec<(String, String)>,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.calls = self.calls.max(other.calls);
        self.of_loader = self.of_loader.max(other.of_loader);
        self.planned += other.planned;
        self.fired += other.fired;
        self.retried += other.retried;
        for (sum, counts) in [(&mut self.kinds, other.kinds), (&mut self.outcomes, other.outcomes)] {
            for (name, count) in counts {
                *sum.entry(name).or_default() += count;
            }
        }
        self.missed.extend(other.missed);
        self.faults.extend(other.faults);
    }

    /// How many points have this fault, of those that are wanted.
    pub fn faulty(&self, fault: &str, is_wanted: impl Fn(&str) -> bool) -> usize {
        self.faults.iter().filter(|(name, at)| name == fault && is_wanted(at)).count()
    }
}
