//! OpenPGP entries that no key in here opens, opened by `gpg` with a home of its own kind.
//!
//! `gpg` gets the message on standard input and nobody to ask: no terminal and, but in user mode, no pinentry, so that
//! a key with a passphrase fails at once unless its agent knows the passphrase already. It starts its agent when it
//! needs one, and that goes on afterwards, as it does after every use of `gpg`: ending it could take it from others
//! who use the same home.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::libc;

use crate::secret::SecretBytes;
use crate::sops::data_key::Refusal;
use crate::system::process::{self, Limits, Output, ProcessError, Surroundings, Variables};

/// Bytes that `gpg` may write: a data key, or a share of one, has 33 at most.
const OUTPUT_LIMIT: usize = 1024;

/// What `gpg` prefixes to the lines that are meant for programs.
const STATUS: &str = "[GNUPG:] ";

/// What to do when there is no gpg.
const NAME_GPG: &str = "set `sops.gnupg.package` to a package with gpg, or SOPS_GPG_EXEC to its path";

/// How `gpg` is run.
#[derive(Default)]
pub struct Gnupg {
    /// Its name or path, from `SOPS_GPG_EXEC`.
    program: Option<OsString>,
    /// The home that the manifest names; else `gpg` takes `GNUPGHOME`, or `~/.gnupg`.
    home: Option<PathBuf>,
    /// Whether somebody may be there to type a passphrase or touch a token.
    may_ask: bool,
    /// Why it is not tried again: it hung, and would for every other file.
    given_up: OnceLock<String>,
}

impl Gnupg {
    pub fn new(program: Option<OsString>, home: Option<PathBuf>, may_ask: bool) -> Self {
        Self { program, home, may_ask, given_up: OnceLock::new() }
    }

    /// Whether a home was named, so that there should be keys in it.
    pub fn is_configured(&self) -> bool {
        self.home.is_some()
    }

    /// What is inside the armored OpenPGP message.
    ///
    /// # Errors
    /// What is wrong with `gpg`, with its home, or with the message.
    pub fn open(&self, message: &str, surroundings: &Surroundings) -> Result<SecretBytes, Refusal> {
        if let Some(reason) = self.given_up.get() {
            return Err(self.hung(reason.clone()));
        }
        self.look_at_home()?;
        let name = self.program.as_deref().unwrap_or(OsStr::new("gpg"));
        let Some(program) = process::find(name, surroundings.path()) else {
            return Err(self.not_found(name));
        };
        let limits = Limits { time: surroundings.time_limit, output: OUTPUT_LIMIT };
        let input = message.as_bytes();
        match process::run(&program, &self.arguments(&program), &self.variables(surroundings), input, limits)
        {
            Ok(output) => self.judge(output),
            Err(ProcessError::TooMuch { .. }) => {
                Err(Refusal::Broken("what is inside is too long for a data key".into()))
            }
            Err(error @ ProcessError::TimedOut { .. }) => {
                Err(self.hung(self.given_up.get_or_init(|| error.to_string()).clone()))
            }
            Err(error) => Err(refused(error.to_string(), NAME_GPG)),
        }
    }

    /// A home that cannot be read would be told as a missing key, if at all.
    fn look_at_home(&self) -> Result<(), Refusal> {
        let Some(home) = &self.home else { return Ok(()) };
        // Opened, not listed: the standard library panics when a listing cannot be closed.
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(home);
        opened.map(drop).map_err(|error| {
            let reason = match error.kind() {
                ErrorKind::NotFound => "it does not exist".to_owned(),
                ErrorKind::NotADirectory => "it is no directory".to_owned(),
                ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ => error.to_string(),
            };
            refused(
                format!("cannot use the gpg home '{}': {reason}", home.display()),
                "name the directory that has the key in `sops.gnupg.home`, and let the user that runs this read it",
            )
        })
    }

    /// How a person would call it.
    fn by_hand(&self) -> String {
        let name = self.program.as_deref().unwrap_or(OsStr::new("gpg")).display();
        match &self.home {
            Some(home) => format!("{name} --homedir {}", home.display()),
            None => name.to_string(),
        }
    }

    fn hung(&self, reason: String) -> Refusal {
        refused(reason, format!("see what it waits for with `{} --list-secret-keys`", self.by_hand()))
    }

    fn arguments(&self, program: &Path) -> Vec<&'static str> {
        let mut arguments = vec!["--batch", "--no-tty", "--status-fd=2"];
        // Programs that stand in for gpg refuse options that they do not know; Qubes' Split GPG asks by other means.
        let is_gnupg = matches!(program.file_name(), Some(name) if name == "gpg" || name == "gpg2");
        if is_gnupg && !self.may_ask {
            arguments.push("--pinentry-mode=error");
        }
        arguments.push("--decrypt");
        arguments
    }

    fn variables(&self, surroundings: &Surroundings) -> Variables {
        let mut variables = surroundings.environment.clone();
        // What it says may be shown, beside English.
        variables.retain(|(name, _)| name != "LC_ALL");
        variables.push(("LC_ALL".into(), "C".into()));
        if let Some(home) = &self.home {
            variables.retain(|(name, _)| name != "GNUPGHOME");
            variables.push(("GNUPGHOME".into(), home.into()));
        }
        variables
    }

    fn judge(&self, output: Output) -> Result<SecretBytes, Refusal> {
        if output.status.success() {
            return if output.stdout.is_empty() {
                Err(Refusal::Broken("gpg opened it and found nothing inside".into()))
            } else {
                Ok(output.stdout)
            };
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let (status, said): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with(STATUS));
        let status = || status.iter().filter_map(|line| line.strip_prefix(STATUS)).map(str::trim);
        let failure = status().find_map(|line| line.strip_prefix("ERROR pkdecrypt_failed "));
        let code = failure.and_then(|rest| rest.split(' ').next()).and_then(|code| code.parse().ok());
        let home = self.home.as_ref().map(|home| format!(" in '{}'", home.display())).unwrap_or_default();
        if code.is_some_and(wants_passphrase) {
            return Err(refused(
                format!(
                    "the secret key that gpg has for it{home} needs a passphrase or PIN, and nobody can be asked"
                ),
                format!(
                    "take the passphrase off with `{} --change-passphrase KEY`, or encrypt the file to another key",
                    self.by_hand()
                ),
            ));
        }
        if code.is_none() && status().any(|line| line.starts_with("NO_SECKEY ")) {
            return Err(refused(
                format!("gpg has no secret key for it{home}"),
                format!(
                    "import the secret key with `{} --import`, or encrypt the file to another",
                    self.by_hand()
                ),
            ));
        }
        if code.is_none() && status().any(|line| line.starts_with("NODATA ")) {
            return Err(Refusal::Broken("its OpenPGP message is malformed".into()));
        }
        // The last line speaks of the outcome, the failed decryption of its cause.
        let cause = said.iter().rfind(|line| line.contains("public key decryption failed"));
        let line = cause.map_or_else(|| said.join("\n"), |line| (*line).to_owned());
        let reason = match process::last_line(line.as_bytes()) {
            Some(line) => format!("gpg failed ({}): {line}", output.status),
            None => format!("gpg failed ({})", output.status),
        };
        Err(refused(reason, format!("see whether `{} --list-secret-keys` works", self.by_hand())))
    }

    fn not_found(&self, name: &OsStr) -> Refusal {
        match self.program {
            Some(_) => {
                refused(format!("'{}' was not found (SOPS_GPG_EXEC names it)", name.display()), NAME_GPG)
            }
            None => refused("gpg was not found (set SOPS_GPG_EXEC or `sops.gnupg.package`)".into(), NAME_GPG),
        }
    }
}

fn refused(reason: String, help: impl Into<String>) -> Refusal {
    Refusal::Program { reason, help: help.into() }
}

/// Whether an error of libgpg-error means that a passphrase or PIN was not to be had: none was given, a wrong one was,
/// or the program that asks for it failed. The low 16 bits are the code, those above 24 its source.
fn wants_passphrase(error: u32) -> bool {
    const CODES: [u32; 8] = [
        11,  // bad passphrase
        62,  // timeout
        85,  // no pinentry
        86,  // pinentry failed
        87,  // bad PIN
        99,  // cancelled
        177, // no passphrase
        198, // fully cancelled
    ];
    const PINENTRY: u32 = 5;
    CODES.contains(&(error & 0xffff)) || (error >> 24) & 0x7f == PINENTRY
}
