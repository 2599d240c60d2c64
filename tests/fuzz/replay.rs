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

/// The fixtures that the script gives the fuzzer, too, and that no other test reads through an oracle.
fn seeds() -> Vec<(&'static str, PathBuf)> {
    let tests = directory().join("..");
    let mut seeds = Vec::new();
    for path in files(&tests.join("fixtures/keys")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("host_") {
            seeds.push(("ssh_keys", path));
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            seeds.push(("age_identities", path));
        }
    }
    for path in files(&tests.join("vectors")) {
        let Some(format) =
            path.to_str().unwrap().strip_suffix(".plain").and_then(|name| name.rsplit('/').next())
        else {
            continue;
        };
        let targets: &[&str] = match format.split('-').next().unwrap() {
            "c" | "yaml" => &["yaml", "yaml_other_reader"],
            "j" | "json" => &["json", "json_other_reader"],
            "e" | "dotenv" => &["dotenv"],
            "i" | "ini" => &["ini"],
            _ => &[],
        };
        seeds.extend(targets.iter().map(|target| (*target, path.clone())));
    }
    seeds
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
    for (target, path) in seeds() {
        let data = fs::read(&path).unwrap();
        count += 1;
        if catch_unwind(AssertUnwindSafe(|| Target::named(target).run(&data))).is_err() {
            failures.push(path);
        }
    }
    assert!(failures.is_empty(), "of {count} inputs: {failures:#?}");
    assert!(count > 1000, "the corpus is missing");
}

#[test]
fn all_inputs_are_of_a_target() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    for kind in ["corpus", "regressions"] {
        for path in files(&directory().join(kind)) {
            assert!(targets.contains(path.file_name().unwrap().to_str().unwrap()), "{}", path.display());
        }
    }
}
