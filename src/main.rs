//! The `sops-activate` command, also callable as `sops-install-secrets`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use sops_activate::cli::{self, Command};
use sops_activate::{log, run};

/// 0: done; 1: something failed, and was told; 2: the command line makes no sense.
fn main() -> ExitCode {
    // A crash must not leave secrets and private keys in a core file. It cannot fail with this argument.
    let _ = nix::sys::prctl::set_dumpable(false);
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    let program =
        Path::new(&called).file_name().map_or("sops-activate".into(), |name| name.to_string_lossy());
    log::start(&program, cli::logs_to_journal());
    let arguments = match cli::parse(arguments) {
        Ok(Command::Install(arguments)) => arguments,
        Ok(Command::Help) => return print(cli::USAGE),
        Ok(Command::Version) => return print(concat!("sops-activate ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(misuse) => {
            tracing::error!("{misuse}\n{}", cli::USAGE.trim_end());
            return ExitCode::from(2);
        }
    };
    let Err(report) = run::run(&arguments, cli::environment(&program)) else { return ExitCode::SUCCESS };
    for diagnostic in report.0 {
        tracing::error!("{diagnostic}");
    }
    ExitCode::FAILURE
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
