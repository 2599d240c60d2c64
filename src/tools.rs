//! The tools: they tell about keys, files and machines, and change nothing. Each takes what the command line asked
//! for and prints on standard output, for people or as JSON (`docs/reference/json.md`).

mod decrypt;
mod doctor;
mod recipient;
mod status;

use std::io::Write as _;

use serde::Serialize;

use crate::cli::Environment;
use crate::cli::tool::Tool;
use crate::diagnostic::{Diagnostic, Report};

/// What a tool found, where it could look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    Well,
    /// Something is wrong, and was told on standard output.
    Unwell,
}

/// Does what the command line asks for.
///
/// # Errors
/// Why the tool could not do its work.
pub fn run(tool: &Tool, environment: Environment) -> Result<Verdict, Report> {
    match tool {
        Tool::Doctor(asked) => doctor::doctor(asked, environment),
        Tool::Recipient { keys, json } => recipient::recipient(keys, *json),
        Tool::Status { manifest, json } => status::status(manifest.as_deref(), *json, &environment),
        Tool::Decrypt(asked) => decrypt::decrypt(asked, environment),
        Tool::Help(tool) => print(tool.usage).map(|()| Verdict::Well),
    }
}

impl Verdict {
    fn well_if(well: bool) -> Self {
        if well { Self::Well } else { Self::Unwell }
    }
}

fn print(text: &str) -> Result<(), Report> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), Report> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|error| Diagnostic::new(format!("cannot write to standard output: {error}")).into())
}

fn print_json(value: &impl Serialize) -> Result<(), Report> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Diagnostic::new(format!("cannot print JSON: {error}")))?;
    print(&(text + "\n"))
}
