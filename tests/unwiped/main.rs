//! An activation without wiping, for the test that searches memory: it shows that the search would find what is left.

use std::process::ExitCode;

use sops_activate::cli::{self, Command};
use sops_activate::run;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let Ok(Command::Install(arguments)) = cli::command("sops-activate", arguments) else {
        return ExitCode::from(2);
    };
    match run::run(&arguments, cli::environment("sops-activate")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
