//! The corpus of the fuzzer and everything that it ever found, through the same oracles, without the fuzzer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what fails in a test is to stop it"
)]

#[path = "src/lib.rs"]
mod oracles;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use oracles::{TARGETS, Target};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// One test for all, since they count the memory of the whole process.
#[test]
fn every_input_of_the_corpus_keeps_the_promises() {
    let mut failures = Vec::new();
    let mut count = 0;
    for target in TARGETS {
        for kind in ["corpus", "regressions"] {
            for path in files(&directory().join(kind).join(target.name)) {
                let data = fs::read(&path).unwrap();
                count += 1;
                if catch_unwind(AssertUnwindSafe(|| target.run(&data))).is_err() {
                    failures.push(path.strip_prefix(directory()).unwrap().to_owned());
                }
            }
        }
    }
    for (format, file) in oracles::sealed_files() {
        let target = Target::named(&format!("sops_{}", format.name()));
        target.run(file);
        count += 1;
    }
    assert!(failures.is_empty(), "of {count} inputs: {failures:#?}");
    assert!(count > 1000, "the corpus is missing");
}

#[test]
fn every_target_has_a_binary_and_nothing_else_has_one() {
    let names = |kind: &str| -> BTreeSet<String> {
        let files = files(&directory().join(kind));
        files.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names("targets"), targets);
    assert!(names("corpus").is_subset(&targets));
    assert!(names("regressions").is_subset(&targets));
}
