//! The direction of imports and what each layer may touch, read in the source. `docs/architecture.md` says why.

use std::fs;
use std::path::{Path, PathBuf};

use crate::machine::repository;

/// The modules from the bottom to the top. One may use those of the lines above its own, and none of its own line.
const LAYERS: [&[&str]; 10] = [
    &["secret", "diagnostic"],
    &["sops"],
    &["manifest", "recipient", "template"],
    &["plan"],
    &["decrypted", "changes"],
    &["system"],
    &["keys", "log"],
    &["cli", "explain", "outcome"],
    &["load", "notice"],
    &["check"],
];
/// These use everything.
const TOP: [&str; 2] = ["run", "tools"];

/// Modules that promise to use less than their layer allows.
const NARROW: [(&str, &[&str]); 5] = [
    ("sops", &["secret"]),
    ("recipient", &["sops"]),
    ("keys", &["recipient", "secret", "sops", "system"]),
    ("manifest", &["diagnostic"]),
    ("secret", &[]),
];

/// No I/O, no environment, no clock, no processes.
const CORE: [&str; 9] =
    ["secret", "diagnostic", "sops", "recipient", "manifest", "template", "plan", "decrypted", "changes"];
const EDGE_ONLY: [&str; 9] = [
    "std::fs",
    "std::env",
    "std::process",
    "std::net",
    "std::time",
    "std::io::stdin",
    "std::io::stdout",
    "std::thread",
    "nix::",
];

struct Source {
    path: PathBuf,
    /// The module below the crate's root that it belongs to.
    module: String,
    /// Without comments and unit tests.
    code: String,
}

fn files_below(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files_below(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = repository("src");
    let mut files = Vec::new();
    files_below(&root, &mut files);
    files.sort();
    let sources: Vec<Source> = files
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "tests.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
            let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
            let module = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
            Source { path, module, code: code.join("\n") }
        })
        .collect();
    assert!(sources.len() > 40);
    sources
}

/// The modules that `code` names, as `crate::module` or in `crate::{a, b}`.
fn uses(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for after in code.split("crate::").skip(1) {
        let named = match after.strip_prefix('{') {
            // Only the names right below the crate's root are of interest.
            Some(group) => {
                let mut depth = 0;
                let inside: String = group
                    .chars()
                    .take_while(|character| {
                        depth += i32::from(*character == '{') - i32::from(*character == '}');
                        depth >= 0
                    })
                    .collect();
                inside.split(',').map(|name| name.split("::").next().unwrap().trim().to_owned()).collect()
            }
            None => vec![after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()],
        };
        used.extend(named);
    }
    used
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

#[test]
fn uses_are_found_in_every_form() {
    let code =
        "use crate::secret::SecretBytes;\nuse crate::{plan::{Plan, name}, sops};\nlet x = crate::keys::y();";
    let mut found = uses(code);
    found.retain(|name| layer(name).is_some());
    assert_eq!(found, ["secret", "plan", "sops", "keys"]);
}

#[test]
fn imports_only_go_down() {
    let mut wrong = Vec::new();
    for source in sources() {
        if TOP.contains(&source.module.as_str()) || ["main", "lib"].contains(&source.module.as_str()) {
            continue;
        }
        let own = layer(&source.module)
            .unwrap_or_else(|| panic!("the module '{}' has no layer: give it one here", source.module));
        let narrow = NARROW.iter().find(|(module, _)| *module == source.module);
        for used in uses(&source.code).into_iter().filter(|used| *used != source.module) {
            let below = layer(&used).is_some_and(|layer| layer < own);
            if !below || narrow.is_some_and(|(_, allowed)| !allowed.contains(&used.as_str())) {
                wrong.push(format!("{} uses {used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_keys_know_stanzas_and_nothing_else_of_sops() {
    for source in sources().iter().filter(|source| source.module == "keys") {
        for after in source.code.split("crate::sops::").skip(1) {
            assert!(after.starts_with("data_key"), "{}", source.path.display());
        }
    }
}

#[test]
fn the_core_does_no_io() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| CORE.contains(&source.module.as_str())) {
        for forbidden in EDGE_ONLY.iter().filter(|forbidden| source.code.contains(**forbidden)) {
            wrong.push(format!("{} uses {forbidden}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_environment_is_read_in_one_place() {
    for source in sources().iter().filter(|source| !["cli", "main"].contains(&source.module.as_str())) {
        assert!(!source.code.contains("std::env"), "{}", source.path.display());
    }
}

#[test]
fn there_is_no_unsafe_code() {
    for source in sources() {
        let words = source.code.split(|c: char| !c.is_alphanumeric() && c != '_');
        assert!(!words.into_iter().any(|word| word == "unsafe"), "{}", source.path.display());
    }
    let manifest = fs::read_to_string(repository("Cargo.toml")).unwrap();
    assert!(manifest.contains("\nunsafe_code = \"forbid\"\n"));
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    for source in sources() {
        let stem = source.path.file_stem().unwrap().to_str().unwrap();
        assert!(!["utils", "util", "common", "types", "helpers", "misc"].contains(&stem), "{stem}");
    }
}

/// Builds come from the lock file; a registry's host in a script or a page would be a second, unchecked way.
#[test]
fn no_file_names_the_host_of_a_package_registry() {
    // Put together here, or this file would be found.
    let hosts: Vec<String> = [
        ("crates", "io"),
        ("pypi", "org"),
        ("npmjs", "com"),
        ("npmjs", "org"),
        ("pythonhosted", "org"),
        ("golang", "org"),
    ]
    .iter()
    .map(|(name, domain)| format!("{name}.{domain}"))
    .collect();
    let mut files = Vec::new();
    for entry in fs::read_dir(repository("")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_symlink() || [".git", "target", "result"].contains(&name) {
            continue;
        }
        if path.is_dir() {
            files_below(&path, &mut files);
        } else {
            files.push(path);
        }
    }
    assert!(files.len() > 100);
    for path in files {
        let text = fs::read(&path).unwrap();
        for line in text.split(|byte| *byte == b'\n') {
            // What cargo itself writes there.
            if path.ends_with("Cargo.lock") && line.starts_with(b"source = \"registry+") {
                continue;
            }
            for host in &hosts {
                let found = memchr::memmem::find(line, host.as_bytes()).is_some();
                assert!(!found, "{} names {host}", path.display());
            }
        }
    }
}
