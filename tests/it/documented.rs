//! The man page, the completions and the reference list exactly what the program has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::machine::{PROGRAM, repository};

fn document(path: &str) -> String {
    fs::read_to_string(repository("docs").join(path)).unwrap()
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The flags that start a line of the help, without dashes; `-h` is the short name of one.
fn flags(help: &str) -> BTreeSet<String> {
    let lines = help.lines().filter_map(|line| line.strip_prefix("  -"));
    let names = lines.flat_map(|line| {
        let end = line.find("  ").unwrap_or(line.len());
        line[..end].split(", ").map(|flag| flag.trim_matches('-').split('=').next().unwrap().to_owned())
    });
    names.filter(|name| name != "h").collect()
}

/// Of each tool, and of the program itself under the empty name, the flags.
fn program() -> BTreeMap<String, BTreeSet<String>> {
    let overview = help(&["-h"]);
    let tools = overview.lines().filter_map(|line| line.strip_prefix("  sops-activate "));
    let mut program: BTreeMap<String, BTreeSet<String>> = tools
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .map(|tool| (tool.clone(), flags(&help(&[&tool, "-h"]))))
        .collect();
    program.insert(String::new(), flags(&overview));
    assert_eq!(program.len(), 5);
    assert!(program.values().all(|flags| flags.contains("help")), "{program:?}");
    program
}

/// The words of `text` that start with `dashes`, without them and without a value.
fn dashed(text: &str, dashes: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let names = words.filter_map(|word| word.strip_prefix(dashes));
    let is_name = |name: &&str| name.starts_with(|c: char| c.is_ascii_lowercase()) && *name != "h";
    names.filter(is_name).map(str::to_owned).collect()
}

/// `text` from after `start` to before `end`.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let from = text.find(start).unwrap_or_else(|| panic!("no {start:?}")) + start.len();
    &text[from..from + text[from..].find(end).unwrap()]
}

#[test]
fn the_completions_of_bash_are_those_of_the_program() {
    let script = document("completions/sops-activate.bash");
    let tools: BTreeSet<&str> = between(&script, "|| words=\"", "\"").split(' ').collect();
    for (tool, flags) in program() {
        let (label, dashes) = if tool.is_empty() { ("*", "-") } else { (tool.as_str(), "--") };
        let listed = between(&script, &format!("                    {label}) words=\""), "\"");
        assert_eq!(dashed(listed, dashes), flags, "{tool}");
        assert!(tool.is_empty() || tools.contains(tool.as_str()), "{tool}");
    }
    assert_eq!(tools.len(), 4);
}

#[test]
fn bash_completes_what_is_begun() {
    let complete = |words: &[&str]| {
        let script = format!(
            "compopt() {{ :; }}; source \"$1\"; COMP_WORDS=({}); COMP_CWORD={}; _sops_activate; echo \"${{COMPREPLY[*]}}\"",
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1
        );
        let path = repository("docs/completions/sops-activate.bash");
        let output = Command::new("bash").args(["-uc", &script, "bash"]).arg(path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    if Command::new("bash").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: no bash");
        return;
    }
    assert_eq!(complete(&["sops-activate", "d"]), "doctor decrypt");
    assert_eq!(complete(&["sops-activate", "-c"]), "-check-mode=");
    assert_eq!(complete(&["sops-activate", "-check-mode", "="]), "manifest sopsfile off");
    assert_eq!(complete(&["sops-activate", "-check-mode", "=", "s"]), "sopsfile");
    assert_eq!(complete(&["sops-activate", "doctor", "--h"]), "--host-key= --help");
    assert_eq!(complete(&["sops-activate", "decrypt", "--format", "=", "j"]), "json");
    assert_eq!(complete(&["sops-activate", "doctor", "mani"]), "", "a file, which bash completes itself");
    assert_eq!(
        complete(&["sops-activate", "manifest.json", "-"]),
        "-check-mode= -ignore-passwd -version -help"
    );
}

#[test]
fn the_completions_of_zsh_are_those_of_the_program() {
    let script = document("completions/_sops-activate");
    let tools = between(&script, "tools=(", "    )\n");
    let tools: BTreeSet<&str> =
        tools.lines().filter_map(|line| line.trim().strip_prefix('\'')?.split(':').next()).collect();
    for (tool, flags) in program() {
        let (start, dashes) = if tool.is_empty() {
            ("        2:*)".to_owned(), "-")
        } else {
            (format!("        {tool})\n"), "--")
        };
        let part = between(&script, &start, ";;");
        // Only what stands in front of a description: `-C` is a flag of zsh's own.
        let listed: String = part.lines().filter(|line| line.contains('[')).collect();
        let names: String =
            listed.split('\'').filter(|word| !word.contains("(-h")).collect::<Vec<_>>().join(" ");
        let names: Vec<&str> = names.split_whitespace().map(|word| word.split('[').next().unwrap()).collect();
        assert_eq!(dashed(&names.join(" "), dashes), flags, "{tool}");
        assert!(tool.is_empty() || tools.contains(tool.as_str()), "{tool}");
    }
    assert_eq!(tools.len(), 4);
}

#[test]
fn the_completions_of_fish_are_those_of_the_program() {
    let script = document("completions/sops-activate.fish");
    let program = program();
    let mut tools = BTreeSet::new();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in script.lines().filter(|line| line.starts_with("complete ")) {
        let words: Vec<&str> = line.split(['\'', ' ']).filter(|word| !word.is_empty()).collect();
        let after = |option: &str| words.iter().position(|word| *word == option).map(|at| words[at + 1]);
        let of = after("__fish_seen_subcommand_from").unwrap_or_default();
        match after(if of.is_empty() { "-o" } else { "-l" }) {
            Some(flag) => drop(found.entry(of.to_owned()).or_default().insert(flag.to_owned())),
            None => drop(tools.insert(after("-a").unwrap().to_owned())),
        }
    }
    assert_eq!(found, program);
    let expected: BTreeSet<String> = program.into_keys().filter(|tool| !tool.is_empty()).collect();
    assert_eq!(tools, expected);
}

#[test]
fn the_man_page_has_every_tool_and_flag_and_no_fault() {
    // A mark that nothing else starts with, where a part ends.
    let page = document("man/sops-activate.8")
        .replace("\n.Ss ", "\n.S!\n.Ss ")
        .replace("\n.Sh ENV", "\n.S!\n.Sh ENV");
    for (tool, flags) in program() {
        let (start, end, mark) = if tool.is_empty() {
            (".Sh DESCRIPTION\n".to_owned(), ".Sh TOOLS", ".It Fl ")
        } else {
            (format!(".Ss {tool}\n"), "\n.S!", ".It Fl Fl ")
        };
        let part = between(&page, &start, end);
        let lines = part.lines().filter_map(|line| line.strip_prefix(mark));
        let mut listed: BTreeSet<String> = lines
            .map(|line| line.trim_start_matches("h , Fl ").split(' ').next().unwrap().to_owned())
            .collect();
        // Told once for all tools.
        if !tool.is_empty() {
            listed.insert("help".to_owned());
        }
        assert_eq!(listed, flags, "{tool}");
    }
    let path = repository("docs/man/sops-activate.8");
    match Command::new("groff").args(["-mdoc", "-ww", "-Tutf8", "-z"]).arg(path).output() {
        Ok(output) => {
            assert!(output.status.success());
            assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        }
        Err(_) => eprintln!("skipped: no groff"),
    }
}

/// Every field of a JSON value, as the reference writes it.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let inner_path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                fields(inner, &inner_path, found);
                found.insert(inner_path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

#[test]
fn the_reference_has_every_field_of_the_json_and_no_other() {
    use crate::server::{FILE, KEY, Machine, answer, manifest, secret};
    let Some(machine) = Machine::new() else { return };
    machine.shell(": > /etc/fstab");
    machine.activate(&manifest(&[secret("a", "api_key")], &[]));
    let reference = document("reference/json.md");
    let key = "--host-key=/mnt/fixtures/keys/host_ed25519.pub";
    for (tool, runs) in [
        ("doctor", vec!["/mnt/manifest.json".to_owned(), format!("{key} /mnt/manifest.json")]),
        ("recipient", vec!["/mnt/fixtures/keys/host_ed25519.pub".to_owned()]),
        ("status", vec![String::new()]),
        ("decrypt", vec![format!("--ssh-key={KEY} {FILE}")]),
    ] {
        let mut found = BTreeSet::new();
        for arguments in runs {
            let told = answer(&mut machine.command(&format!("exec sops-activate {tool} --json {arguments}")));
            fields(&serde_json::from_str(&told.stdout).unwrap(), "", &mut found);
        }
        // The list that the last two are.
        let found: BTreeSet<String> =
            found.iter().map(|field| field.trim_start_matches("[].").to_owned()).collect();
        let part = reference.split("\n## ").find(|part| part.starts_with(&format!("`{tool}`"))).unwrap();
        let mut listed = BTreeSet::new();
        for line in part.lines().filter(|line| line.starts_with("| `")) {
            let cell = line.split('|').nth(1).unwrap();
            let mut before = String::new();
            for name in cell.split('`').skip(1).step_by(2) {
                // Of further ones in a row only the last part is written.
                let full = match name.strip_prefix('.') {
                    Some(last) => format!("{}.{last}", before.rsplit_once('.').unwrap().0),
                    None => name.to_owned(),
                };
                before.clone_from(&full);
                listed.insert(full);
            }
        }
        assert_eq!(listed, found, "{tool}");
    }
}

/// A promise that is shown by a test which was renamed or removed is shown by nothing.
#[test]
fn every_test_that_the_threat_model_names_exists() {
    let page = document("threat-model.md");
    let promises = between(&page, "## Promises\n", "\n## ");
    let mut named = 0;
    for row in promises.lines().filter(|row| row.starts_with("| ") && !row.starts_with("| promise")) {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test in: {row}");
        for test in tests {
            let (module, function) = test.split_once("::").unwrap_or((test, ""));
            let source = fs::read_to_string(repository(&format!("tests/it/{module}.rs"))).expect(test);
            assert!(source.contains(&format!("fn {function}")), "{test}");
            named += 1;
        }
    }
    assert!(named > 10, "only {named} tests are named");
}

#[test]
fn every_addition_is_shown_by_tests_that_are_there() {
    let page = document("compatibility.md");
    let table = page.split("\n## In addition\n").nth(1).unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 15, "{rows:?}");
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit_once(" | ").unwrap().1;
        let (ours, of_modules) = tests.split_once("nix:").unwrap();
        let names = |cell: &'static str, text: &str| -> Vec<(&'static str, String)> {
            text.split('`').skip(1).step_by(2).map(|name| (cell, name.to_owned())).collect()
        };
        let names = [names("it", ours), names("nix", of_modules)].concat();
        assert!(!names.is_empty(), "{row}");
        for (kind, name) in names {
            let places = match kind {
                "it" if name.contains('/') => vec![name.clone()],
                "it" => vec![format!("tests/it/{name}.rs")],
                _ => ["configurations", "mistakes", "unbuildable"]
                    .map(|folder| format!("tests/nix/{folder}/{name}.nix"))
                    .to_vec(),
            };
            assert!(places.iter().any(|place| repository(place).exists()), "{name} in {row}");
        }
    }
}
