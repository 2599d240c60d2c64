//! The command line and the environment, each read once.
//!
//! Flags follow Go's `flag` package, as sops-install-secrets has them: one dash or two, `-name value` or
//! `-name=value`, booleans without a value, and no flags after the first positional argument.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use tool::{Spec, TOOLS, Tool};

use crate::diagnostic::Printable;
use crate::keys;

pub mod tool;

/// Printed for `-h`, and after a misuse.
pub const USAGE: &str = "\
usage: sops-activate [-check-mode=MODE] [-ignore-passwd] MANIFEST

Decrypts the sops files that MANIFEST (JSON) names and puts their secrets in place.

  -check-mode=MODE  only check, and install nothing:
                      manifest  that the manifest is well formed
                      sopsfile  also that every sops file is, and that it holds the keys
                      off       install (the default)
  -ignore-passwd    look up no users and groups: everything belongs to root
  -version          print the version
  -h, -help         print this text
";

/// What the program was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Install(Arguments),
    Tool(Tool),
    Help,
    Version,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    pub manifest: PathBuf,
    pub check: Check,
    pub ignore_passwd: bool,
}

/// How much is checked instead of installing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    #[default]
    Off,
    Manifest,
    SopsFile,
}

/// A command line that makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    #[error("no manifest is given")]
    NoManifest,
    #[error("{}", too_many(.0))]
    TooMany(String),
    #[error("there is no flag '{}'", Printable(.0))]
    UnknownFlag(String),
    #[error("the flag '-{0}' wants a value")]
    NoValue(&'static str),
    #[error("the flag '-{flag}' cannot be '{}'", Printable(.value))]
    BadValue { flag: &'static str, value: String },
    #[error("no {0} is given")]
    Missing(&'static str),
    #[error("'{}' is one argument too many", Printable(.0))]
    Superfluous(String),
}

fn too_many(argument: &str) -> String {
    let printable = Printable(argument);
    if argument.starts_with('-') {
        format!("the flag '{printable}' must stand before the manifest")
    } else {
        format!("'{printable}' is one argument too many: there can be only one manifest")
    }
}

/// The name under which the program has no tools: the original's command line, and nothing else.
const ORIGINAL: &str = "sops-install-secrets";

/// Reads the command line of the program that was called by the name `program`. A first argument that is exactly the
/// name of a tool asks for that; a manifest of such a name is `./doctor`.
///
/// # Errors
/// What is wrong with it, and the usage to show.
pub fn command(
    program: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Command, (Misuse, &'static str)> {
    let mut arguments = arguments.into_iter().peekable();
    let tool = arguments.peek().filter(|_| program != ORIGINAL).and_then(|first| Spec::named(first));
    match tool {
        Some(tool) => match tool.parse(arguments.skip(1)) {
            Ok(asked) => Ok(Command::Tool(asked)),
            Err(misuse) => Err((misuse, tool.usage)),
        },
        None => parse(arguments).map_err(|misuse| (misuse, USAGE)),
    }
}

/// What `-h` prints.
#[must_use]
pub fn help(program: &str) -> String {
    if program == ORIGINAL {
        return USAGE.to_owned();
    }
    let line = |tool: &Spec| format!("  sops-activate {:<10} {}", tool.name, tool.about);
    let tools: Vec<String> = TOOLS.iter().map(line).collect();
    format!("{USAGE}\nOther tools, each with -h:\n\n{}\n", tools.join("\n"))
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// When they are not as [`USAGE`] says.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Misuse> {
    let mut arguments = arguments.into_iter();
    let (mut check, mut ignore_passwd) = (Check::default(), false);
    let manifest = loop {
        let Some(argument) = arguments.next() else { return Err(Misuse::NoManifest) };
        let bytes = argument.as_bytes();
        // A single dash is a positional argument to Go, and two alone end the flags.
        if bytes == b"--" {
            break arguments.next().ok_or(Misuse::NoManifest)?;
        }
        let Some(flag) = bytes.strip_prefix(b"-").filter(|flag| !flag.is_empty()) else { break argument };
        let flag = String::from_utf8_lossy(flag.strip_prefix(b"-").unwrap_or(flag)).into_owned();
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag.as_str(), None),
        };
        match name {
            "check-mode" => {
                let value = match value {
                    Some(value) => value,
                    None => {
                        arguments.next().ok_or(Misuse::NoValue("check-mode"))?.to_string_lossy().into_owned()
                    }
                };
                check = match value.as_str() {
                    "off" => Check::Off,
                    "manifest" => Check::Manifest,
                    "sopsfile" => Check::SopsFile,
                    _ => return Err(Misuse::BadValue { flag: "check-mode", value }),
                };
            }
            "ignore-passwd" => ignore_passwd = boolean("ignore-passwd", value)?,
            "version" if boolean("version", value.clone())? => return Ok(Command::Version),
            "h" | "help" => return Ok(Command::Help),
            _ => return Err(Misuse::UnknownFlag(argument.to_string_lossy().into_owned())),
        }
    };
    if let Some(further) = arguments.next() {
        return Err(Misuse::TooMany(further.to_string_lossy().into_owned()));
    }
    if manifest.is_empty() {
        return Err(Misuse::NoManifest);
    }
    Ok(Command::Install(Arguments { manifest: manifest.into(), check, ignore_passwd }))
}

/// Go's `strconv.ParseBool`; a flag without a value is true.
fn boolean(flag: &'static str, value: Option<String>) -> Result<bool, Misuse> {
    match value.as_deref() {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(_) => Err(Misuse::BadValue { flag, value: value.unwrap_or_default() }),
    }
}

/// Everything that the program takes from its environment.
#[derive(Default)]
pub struct Environment {
    /// `$XDG_RUNTIME_DIR`: what `%r` stands for in user mode.
    pub runtime_dir: Option<String>,
    /// `$HOME`, for the user's own keys in user mode.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, or `.config` in the home.
    pub config_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`, or `.local/state` in the home.
    pub state_home: Option<PathBuf>,
    /// `NIXOS_ACTION=dry-activate`: say what would change, and change nothing.
    pub dry_activate: bool,
    /// `SOPS_RESTART_UNITS_VIA_SYSTEMCTL=1`: units are told by `systemctl`, not in lists.
    pub restart_via_systemctl: bool,
    pub keys: keys::Environment,
    /// The name that the program was called by, without directories.
    pub program: String,
}

/// Reads the environment.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment(program: &str) -> Environment {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = path("HOME");
    Environment {
        runtime_dir: path("XDG_RUNTIME_DIR").and_then(|dir| dir.into_os_string().into_string().ok()),
        config_home: path("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config"))),
        // A relative one is to be ignored, says its specification.
        state_home: path("XDG_STATE_HOME")
            .filter(|dir| dir.is_absolute())
            .or_else(|| home.as_ref().map(|home| home.join(".local/state"))),
        home,
        dry_activate: std::env::var_os("NIXOS_ACTION").as_deref() == Some(OsStr::new("dry-activate")),
        restart_via_systemctl: std::env::var_os("SOPS_RESTART_UNITS_VIA_SYSTEMCTL").as_deref()
            == Some(OsStr::new("1")),
        keys: keys::Environment::of(std::env::vars_os().collect()),
        program: program.to_owned(),
    }
}

/// Whether standard error goes to the journal, which reads a priority in front of each line. The variable names the
/// stream that is the journal's, and outlives it: a terminal that a user's systemd started has it, too.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the log starts before the environment is read as a whole")]
pub fn logs_to_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    nix::sys::stat::fstat(std::io::stderr())
        .is_ok_and(|stat| stream.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(arguments: &[&str]) -> Result<Command, Misuse> {
        parse(arguments.iter().map(OsString::from))
    }

    fn install(check: Check, ignore_passwd: bool) -> Result<Command, Misuse> {
        Ok(Command::Install(Arguments { manifest: "m.json".into(), check, ignore_passwd }))
    }

    #[test]
    fn flags_are_written_as_in_go() {
        for (arguments, check, ignore_passwd) in [
            (&["m.json"][..], Check::Off, false),
            (&["-check-mode=sopsfile", "m.json"], Check::SopsFile, false),
            (&["--check-mode=manifest", "m.json"], Check::Manifest, false),
            (&["-check-mode", "off", "m.json"], Check::Off, false),
            (&["--check-mode", "sopsfile", "-ignore-passwd", "m.json"], Check::SopsFile, true),
            (&["-ignore-passwd=true", "m.json"], Check::Off, true),
            (&["-ignore-passwd=F", "m.json"], Check::Off, false),
            (&["-ignore-passwd", "--", "m.json"], Check::Off, true),
        ] {
            assert_eq!(parse_all(arguments), install(check, ignore_passwd), "{arguments:?}");
        }
    }

    #[test]
    fn misuse_is_named() {
        for (arguments, error) in [
            (&[][..], Misuse::NoManifest),
            (&[""], Misuse::NoManifest),
            (&["-ignore-passwd"], Misuse::NoManifest),
            (&["--"], Misuse::NoManifest),
            (&["a", "b"], Misuse::TooMany("b".into())),
            (&["a", "-ignore-passwd"], Misuse::TooMany("-ignore-passwd".into())),
            (&["-nope", "a"], Misuse::UnknownFlag("-nope".into())),
            (&["---ignore-passwd", "a"], Misuse::UnknownFlag("---ignore-passwd".into())),
            (&["-check-mode"], Misuse::NoValue("check-mode")),
            (&["-check-mode=on", "a"], Misuse::BadValue { flag: "check-mode", value: "on".into() }),
            (
                &["-ignore-passwd=maybe", "a"],
                Misuse::BadValue { flag: "ignore-passwd", value: "maybe".into() },
            ),
        ] {
            assert_eq!(parse_all(arguments), Err(error), "{arguments:?}");
        }
        assert_eq!(parse_all(&["-h"]), Ok(Command::Help));
        assert_eq!(parse_all(&["--help", "x", "y"]), Ok(Command::Help));
        assert_eq!(
            parse_all(&["-"]),
            Ok(Command::Install(Arguments { manifest: "-".into(), check: Check::Off, ignore_passwd: false }))
        );
    }
}
