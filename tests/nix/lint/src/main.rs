//! Whether .nix files parse, are laid out as alejandra does it, and bind no name that nobody uses.
//!
//! `lint FILE…` prints a line for each problem, `FILE:LINE: what`, and exits with 1 when there was one. `lint --format
//! FILE…` lays them out.

use std::fs;
use std::io;
use std::process::ExitCode;

use alejandra::format::{Status, in_memory};
use deadnix::Settings;
use rowan::ast::AstNode;

fn main() -> ExitCode {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let format = files.first().is_some_and(|first| first == "--format");
    if format {
        files.remove(0);
    }
    let mut problems = Vec::new();
    for file in &files {
        let outcome = if format { lay_out(file) } else { check(file) };
        match outcome {
            Ok(found) => problems.extend(found),
            Err(error) => problems.push(format!("{file}: {error}")),
        }
    }
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn lay_out(file: &str) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(file)?;
    match in_memory(file.to_owned(), text) {
        (Status::Error(error), _) => return Ok(vec![format!("{file}: {error}")]),
        (Status::Changed(true), after) => fs::write(file, after)?,
        (Status::Changed(false), _) => {}
    }
    Ok(Vec::new())
}

fn check(file: &str) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(file)?;
    let at = |offset: usize| text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1;

    let tree = rnix::Root::parse(&text);
    if !tree.errors().is_empty() {
        return Ok(tree.errors().iter().map(|error| format!("{file}: {error}")).collect());
    }
    let mut problems: Vec<String> = Settings::default()
        .find_dead_code(&tree.syntax())
        .iter()
        .map(|dead| format!("{file}:{}: {dead}", at(dead.binding.name.syntax().text_range().start().into())))
        .collect();
    match in_memory(file.to_owned(), text.clone()) {
        (Status::Error(error), _) => problems.push(format!("{file}: {error}")),
        (Status::Changed(true), after) => {
            let line =
                text.lines().zip(after.lines()).take_while(|(before, after)| before == after).count() + 1;
            problems.push(format!("{file}:{line}: not laid out as `tests/nix/run --format` does it"));
        }
        (Status::Changed(false), _) => {}
    }
    Ok(problems)
}
