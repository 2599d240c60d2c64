//! The `sops-activate` command, also callable as `sops-install-secrets`.

#[cfg(not(feature = "unwiped"))]
use std::alloc::System;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use sops_activate::cli::{self, Command};
use sops_activate::system::memory;
use sops_activate::tools::{self, Verdict};
use sops_activate::{log, run, secret};

/// Wipes all memory on the heap when it is given back: libraries handle secrets, too, and grow buffers.
#[cfg(not(feature = "unwiped"))]
#[global_allocator]
static HEAP: zeroizing_alloc::ZeroAlloc<System> = zeroizing_alloc::ZeroAlloc(System);

/// 0: done; 1: something failed, and was told; 2: the command line makes no sense.
fn main() -> ExitCode {
    memory::guard();
    // With a limit on the size of files, a write beyond it is to fail, not to end the program in its middle. It is done
    // before any thread is made, so that every one has it, and cannot fail with this argument.
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
    let code = act();
    secret::wipe_stack();
    code
}

/// On a part of the stack of its own, which can be wiped afterwards.
#[inline(never)]
fn act() -> ExitCode {
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
