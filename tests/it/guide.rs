//! What the documents promise of the program's words, and of each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::machine::repository;

/// Every message that the guide explains is one that the program prints.
#[test]
fn the_guide_explains_messages_that_exist() {
    let guide = fs::read_to_string(repository("docs/secrets-management.md")).unwrap();
    let (_, section) = guide.split_once("\n## Troubleshooting by message\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut printed: Vec<String> = Vec::new();
    for (directory, ending) in [("tests/transcripts", "txt"), ("src", "rs")] {
        for file in below(&repository(directory), ending) {
            printed.extend(fs::read_to_string(file).unwrap().lines().map(str::to_owned));
        }
    }
    let explained = messages(section);
    assert!(explained.len() >= 15, "{explained:?}");
    for message in explained {
        let known = printed.iter().any(|line| holds(line, &message));
        assert!(known, "the guide explains '{message}', which is printed nowhere");
    }
}

/// Bold code at the start of a paragraph, and the code in the first column of a table.
fn messages(section: &str) -> Vec<String> {
    let mut messages = Vec::new();
    for line in section.lines() {
        if line.starts_with("**`") {
            messages.extend(line.split("**`").skip(1).filter_map(|rest| rest.split_once("`**")).map(|m| m.0));
        } else if let Some(cell) = line.strip_prefix("| `").and_then(|rest| rest.split_once('`')) {
            messages.push(cell.0);
        }
    }
    messages.into_iter().map(str::to_owned).collect()
}

/// Whether the line has the parts of the message between its `…`, in their order.
fn holds(line: &str, message: &str) -> bool {
    let mut rest = line;
    message.split('…').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// What the guide shows of each tool is what the tool prints, between the `…`.
#[test]
fn the_examples_of_the_tools_are_what_they_print() {
    use crate::server::{KEY, Machine, answer, manifest, secret, with};
    use serde_json::json;
    let Some(machine) = Machine::new() else { return };
    let owned =
        with(secret("db-user", "database/user"), json!({"owner": "alice", "group": "app", "mode": "0440"}));
    machine.activate(&manifest(&[secret("api-key", "api_key"), owned], &[]));
    machine.write("/mnt/mistaken.json", manifest(&[secret("api-key", "api_kye")], &[]).to_string());
    machine.shell("mkdir -p /etc/ssh; rm -f /etc/ssh/ssh_host_*; : > /etc/fstab");
    machine.shell(&format!(
        "cp {KEY} /etc/ssh/ssh_host_ed25519_key; cp {KEY}.pub /etc/ssh/ssh_host_ed25519_key.pub"
    ));

    let guide = fs::read_to_string(repository("docs/secrets-management.md")).unwrap();
    let (_, section) = guide.split_once("\n## The tools\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut shown = BTreeSet::new();
    for block in section.split("```console\n").skip(1).filter_map(|rest| rest.split_once("```")) {
        let (command, expected) = block.0.split_once('\n').unwrap();
        let command = command.trim_start_matches(['#', '$', ' ']);
        let mistaken = command.replace("/nix/store/…-manifest.json", "/mnt/mistaken.json");
        let told = answer(&mut machine.command(&format!("cd /mnt/fixtures/sample; {mistaken}")));
        let expected = expected.replace("/nix/store/…-manifest.json", "/mnt/manifest.json");
        // A value has no end of line of its own.
        assert!(holds(&told.stdout, expected.trim_end()), "{command}: {told:?}");
        shown.insert(command.split(' ').nth(1).unwrap().to_owned());
    }
    let tools = ["decrypt", "doctor", "recipient", "status"].map(str::to_owned);
    assert_eq!(shown, BTreeSet::from(tools));
}

#[test]
fn every_section_of_the_guide_is_in_its_table_of_contents() {
    let guide = fs::read_to_string(repository("docs/secrets-management.md")).unwrap();
    let listed =
        guide.lines().filter_map(|line| line.strip_prefix("* [")?.split_once("](#")).map(|entry| entry.0);
    let sections = guide.lines().filter_map(|line| line.strip_prefix("## "));
    assert_eq!(listed.collect::<Vec<_>>(), sections.collect::<Vec<_>>());
}

/// A link in a document leads to a file that is there, and to a heading that it has.
#[test]
fn links_between_documents_lead_somewhere() {
    let documents: Vec<PathBuf> = ["README.md", "CHANGELOG.md"]
        .iter()
        .map(|name| repository(name))
        .chain(["docs", "tests", "nix"].iter().flat_map(|name| below(&repository(name), "md")))
        .collect();
    let mut followed = 0;
    for document in &documents {
        let text = fs::read_to_string(document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|m| m.0) {
            if target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: the link to '{target}' leads nowhere", document.display());
            if !anchor.is_empty() {
                let found = anchors(&file).contains(anchor);
                assert!(found, "{}: '{target}' has no such heading", document.display());
            }
            followed += 1;
        }
    }
    assert!(followed >= 20, "{followed}");
}

/// The names that a reader's program gives to headings.
fn anchors(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap();
    let headings = text
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    headings
        .map(|heading| {
            let kept = heading.to_lowercase().replace(' ', "-");
            kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
        })
        .collect()
}

fn below(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(below(&path, ending));
        } else if path.extension().is_some_and(|found| found == ending) {
            files.push(path);
        }
    }
    files.sort();
    files
}
