//! Installs the sample secrets into a directory of your own: the program's main job, without root and without a
//! server.
//!
//! `cargo run --example sample [DIRECTORY]`: the directory is `target/sample` if none is given. The files were made
//! by the real sops for a throw-away host key, which lies beside them and guards nothing.

use std::error::Error;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use sops_activate::cli::{Arguments, Check, Environment};
use sops_activate::{log, run};

fn main() -> ExitCode {
    log::start("sample", false);
    match install(env::args_os().nth(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn install(directory: Option<OsString>) -> Result<(), Box<dyn Error>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The manifest names its files relative to the repository.
    let directory = directory.map_or_else(|| repository.join("target/sample"), PathBuf::from);
    let directory = std::path::absolute(directory)?;
    env::set_current_dir(repository)?;
    fs::create_dir_all(&directory)?;
    let directory = directory.to_str().ok_or("the directory's name is not UTF-8")?;

    // `%r` in the manifest is the user's runtime directory: here, the directory of the sample.
    let environment = Environment { runtime_dir: Some(directory.to_owned()), ..Environment::default() };
    let manifest = PathBuf::from("tests/fixtures/sample/manifest.json");
    let arguments = Arguments { manifest, check: Check::Off, ignore_passwd: false };
    if let Err(report) = run::run(&arguments, environment) {
        let problems: Vec<String> = report.0.iter().map(ToString::to_string).collect();
        return Err(problems.join("\n").into());
    }

    println!("installed below {directory}:");
    show(Path::new(directory), Path::new(""))
}

/// Names, modes and sizes; never values.
fn show(root: &Path, below: &Path) -> Result<(), Box<dyn Error>> {
    let mut entries = fs::read_dir(root.join(below))?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = below.join(entry.file_name());
        let metadata = entry.metadata()?;
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_dir() {
            println!("  {mode:04o}            {}/", name.display());
            show(root, &name)?;
        } else if metadata.is_symlink() {
            println!("  link            {} -> {}", name.display(), fs::read_link(entry.path())?.display());
        } else {
            println!("  {mode:04o} {:>8} B {}", metadata.len(), name.display());
        }
    }
    Ok(())
}
