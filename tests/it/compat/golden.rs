//! What the original did, recorded, and in what we differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::machine::Seen;
use crate::machine::repository;

/// Where differences go that nobody has explained yet.
const UNEXPLAINED: &str = "unexplained";

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// What was seen after each activation by the original.
    pub original: Seen,
    /// Lines that the original has and we do not (`1 - …`, of the first activation), or the other way (`1 + …`), by
    /// the identifier of the row of `docs/compatibility.md` that explains them.
    pub differences: BTreeMap<String, Vec<String>>,
}

impl Golden {
    pub fn path(case: &str) -> PathBuf {
        repository("tests/compat/golden").join(format!("{case}.json"))
    }

    pub fn read(path: &Path) -> Option<Self> {
        let text = fs::read(path).ok()?;
        Some(serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    pub fn write(&self, path: &Path) {
        fs::write(path, serde_json::to_string_pretty(self).unwrap() + "\n").unwrap();
    }

    /// The original's result replaced. Lines that were explained keep their explanation.
    pub fn updated(mut self, original: Seen, ours: &Seen) -> Self {
        let mut left = differences(&original, ours);
        self.differences.remove(UNEXPLAINED);
        for lines in self.differences.values_mut() {
            lines.retain(|line| take(&mut left, line));
        }
        if !left.is_empty() {
            self.differences.insert(UNEXPLAINED.into(), left);
        }
        self.differences.retain(|_, lines| !lines.is_empty());
        Self { original, ..self }
    }

    /// What is wrong with our result: differences that are not explained, and explained ones that are not there.
    pub fn judge(&self, ours: &Seen) -> Option<String> {
        let mut left = differences(&self.original, ours);
        let mut missing = Vec::new();
        for (identifier, lines) in &self.differences {
            missing.extend(
                lines
                    .iter()
                    .filter(|line| !take(&mut left, line))
                    .map(|line| format!("{line} ({identifier})")),
            );
        }
        if left.is_empty() && missing.is_empty() {
            return None;
        }
        let list = |what: &str, lines: &[String]| match lines {
            [] => String::new(),
            lines => format!("{what}:\n  {}\n", lines.join("\n  ")),
        };
        Some(list("not explained", &left) + &list("explained, but not there", &missing))
    }
}

/// Takes one such line out, if there is one.
fn take(lines: &mut Vec<String>, line: &str) -> bool {
    let found = lines.iter().position(|other| other == line);
    found.map(|index| lines.remove(index)).is_some()
}

/// Every recorded result, by case.
pub fn all() -> Vec<(String, Golden)> {
    let mut all: Vec<(String, Golden)> = fs::read_dir(repository("tests/compat/golden"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), Golden::read(&path).unwrap())
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// The lines in which two results differ, with the number of the activation.
pub fn differences(theirs: &Seen, ours: &Seen) -> Vec<String> {
    let steps = theirs.len().max(ours.len());
    let none = Vec::new();
    let of = |seen: &Seen, step| seen.get(step).unwrap_or(&none).clone();
    (0..steps)
        .flat_map(|step| {
            let lines = line_differences(&of(theirs, step), &of(ours, step));
            lines.into_iter().map(move |line| format!("{} {line}", step + 1))
        })
        .collect()
}

/// By the longest common subsequence, so that a line in another place is a difference, too.
fn line_differences(theirs: &[String], ours: &[String]) -> Vec<String> {
    let mut common = vec![vec![0; ours.len() + 1]; theirs.len() + 1];
    for (i, their) in theirs.iter().enumerate().rev() {
        for (j, our) in ours.iter().enumerate().rev() {
            common[i][j] =
                if their == our { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < theirs.len() || j < ours.len() {
        if i < theirs.len() && j < ours.len() && theirs[i] == ours[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == ours.len() || i < theirs.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(format!("- {}", theirs[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", ours[j]));
            j += 1;
        }
    }
    lines
}

#[test]
fn a_line_that_is_missing_changed_or_elsewhere_is_a_difference() {
    let seen = |lines: &str| vec![lines.split(' ').map(str::to_owned).collect()];
    assert_eq!(differences(&seen("a b c"), &seen("a b c")), [""; 0]);
    assert_eq!(differences(&seen("a b c"), &seen("a x c d")), ["1 - b", "1 + x", "1 + d"]);
    assert_eq!(differences(&seen("a b"), &seen("b a")), ["1 - a", "1 + a"]);
    assert_eq!(differences(&vec![], &seen("a")), ["1 + a"]);
}

#[test]
fn a_difference_is_allowed_only_as_it_is_pinned_and_only_if_it_is_there() {
    let seen = |lines: &str| vec![lines.split(' ').map(str::to_owned).collect()];
    let golden = |lines: &[&str]| Golden {
        original: seen("a b"),
        differences: [("why".to_owned(), lines.iter().map(|&line| line.to_owned()).collect())].into(),
    };
    assert_eq!(golden(&["1 - b", "1 + c"]).judge(&seen("a c")), None);
    assert!(golden(&["1 - b", "1 + c"]).judge(&seen("a d")).is_some());
    assert!(golden(&["1 - b"]).judge(&seen("a c")).is_some());
    assert!(golden(&["1 - b", "1 + c"]).judge(&seen("a b")).is_some());
}
