//! The `sops-activate` command, also callable as `sops-install-secrets`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use sops_activate::cli::{self, Command};
use sops_activate::tools::{self, Verdict};
use sops_activate::{log, run};

/// 0: done; 1: something failed, and was told; 2: the command line makes no sense.
fn main() -> ExitCode {
    // A crash must not leave secrets and private keys in a core file. It cannot fail with this argument.
    let _ = nix::sys::prctl::set_dumpable(false);
    // With a limit on the size of files, a write beyond it is to fail, not to end the program in its middle. It is the
    // first thing done, so that every thread has it; it cannot fail with this argument either.
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    let program =
        Path::new(&called).file_name().map_or("sops-activate".into(), |name| name.to_string_lossy());
    log::start(&program, cli::logs_to_journal());
    let done = match cli::command(&program, arguments) {
        Ok(Command::Install(arguments)) => {
            run::run(&arguments, cli::environment(&program)).map(|()| Verdict::Well)
        }
        Ok(Command::Tool(tool)) => tools::run(&tool, cli::environment(&program)),
        Ok(Command::Help) => return print(&cli::help(&program)),
        Ok(Command::Version) => return print(concat!("sops-activate ", env!("CARGO_PKG_VERSION"), "\n")),
        Err((misuse, usage)) => {
            tracing::error!("{misuse}\n{}", usage.trim_end());
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::Unwell) => ExitCode::FAILURE,
        Err(report) => {
            for diagnostic in report.0 {
                tracing::error!("{diagnostic}");
            }
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
