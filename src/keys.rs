//! Who can open a stanza: the identities of this machine, from ssh keys, identity files and the environment, and the
//! programs that hold more of them.
//!
//! Sources are alternatives. What is missing or broken is remembered, to be told when a file cannot be opened, and
//! stops nothing by itself. Private keys stay in wiped memory and are never written or formatted; of a source that
//! cannot be read only the path and the line number are kept.
//!
//! Programs are asked last: key commands, age plugins and `gpg` run only for a key group that no key here opens. Each
//! has [`TIME_LIMIT`], nobody to ask, and is given up for good once it reached the limit.

mod age_file;
mod command;
mod gnupg;
mod identity;
mod identity_file;
mod identity_set;
#[cfg(feature = "pgp")]
mod pgp;
mod plugin;
#[cfg(feature = "age-pq")]
mod post_quantum;
pub mod public;
#[cfg(any(feature = "age-ssh", feature = "pgp"))]
mod rsa_key;
mod source;
mod ssh_ed25519;
mod ssh_key;
#[cfg(feature = "age-ssh")]
mod ssh_rsa;
mod stanza;
mod x25519;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
#[cfg(any(feature = "age-ssh", feature = "pgp"))]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "pgp")]
use self::pgp::PgpKey;
use crate::recipient;
use crate::secret::SecretBytes;
use crate::sops::data_key::{Refusal, Stanza, StanzaKind, Unwrap};
use crate::system::file::read_regular;
use crate::system::process::{self, Surroundings, Variables};
use command::KeyCommands;
use gnupg::Gnupg;
use identity::Identity;
use identity_set::IdentitySet;
#[cfg(any(feature = "age-ssh", feature = "pgp"))]
use rsa_key::RsaKey;
pub use source::{Skipped, Source, Unusable};
use ssh_key::{RsaNumbers, SshKey};
#[cfg(feature = "age-ssh")]
use ssh_rsa::SshRsa;

/// How long `gpg`, an age plugin or a key command may take. Long enough for a key service that is far away, and for a
/// finger on a token; a boot must not hang for longer.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Where identities may be.
#[derive(Default)]
pub struct Sources {
    /// Ssh keys to be used as age identities, both derived and native.
    pub age_ssh_key_paths: Vec<PathBuf>,
    /// Ssh keys to be used as OpenPGP keys. RSA keys among them open `ssh-rsa` stanzas, too.
    pub ssh_key_paths: Vec<PathBuf>,
    /// The home of `gpg`; without it `gpg` takes `GNUPGHOME`, or `~/.gnupg`.
    pub gnupg_home: Option<PathBuf>,
    pub age_key_file: Option<PathBuf>,
    pub environment: Environment,
    /// Identity files in the user's own directories; that one does not exist is not worth a note.
    pub user_key_files: Vec<PathBuf>,
    /// Ssh keys in the user's own directories; that one does not exist is not worth a note.
    pub user_ssh_keys: Vec<PathBuf>,
    /// Whether `gpg` may ask for a passphrase, by a pinentry of its agent: somebody may be there.
    pub may_ask: bool,
}

/// What the environment says about keys. A variable that is set and empty counts as set.
#[derive(Default)]
pub struct Environment {
    /// The content of `SOPS_AGE_KEY`.
    pub age_key: Option<SecretBytes>,
    /// `SOPS_AGE_KEY_FILE`
    pub age_key_file: Option<PathBuf>,
    /// What would be in that file, where it can be had in another way only.
    pub age_key_file_content: Option<SecretBytes>,
    /// `SOPS_AGE_SSH_PRIVATE_KEY_FILE`
    pub age_ssh_private_key_file: Option<PathBuf>,
    /// `SOPS_AGE_KEY_CMD`
    pub age_key_cmd: Option<OsString>,
    /// `SOPS_AGE_SSH_PRIVATE_KEY_CMD`
    pub age_ssh_private_key_cmd: Option<OsString>,
    /// `SOPS_GPG_EXEC`
    pub gpg_exec: Option<OsString>,
    /// What programs get to see: all variables but those that hold keys.
    pub handed_on: Variables,
}

impl Environment {
    /// `variables` are all that there are.
    #[must_use]
    pub fn of(mut variables: Variables) -> Self {
        let is_key = |(name, _): &(OsString, OsString)| name == "SOPS_AGE_KEY";
        let age_key = variables.iter().position(is_key).map(|at| variables.remove(at).1);
        variables.retain(|variable| !is_key(variable));
        let text = |name: &str| process::variable(&variables, name).map(OsStr::to_owned);
        let not_empty = |name: &str| text(name).filter(|value| !value.is_empty());
        Self {
            age_key: age_key.map(|text| SecretBytes::new(text.into_encoded_bytes())),
            age_key_file: not_empty("SOPS_AGE_KEY_FILE").map(PathBuf::from),
            age_key_file_content: None,
            age_ssh_private_key_file: not_empty("SOPS_AGE_SSH_PRIVATE_KEY_FILE").map(PathBuf::from),
            age_key_cmd: text("SOPS_AGE_KEY_CMD"),
            age_ssh_private_key_cmd: text("SOPS_AGE_SSH_PRIVATE_KEY_CMD"),
            gpg_exec: not_empty("SOPS_GPG_EXEC"),
            // A plugin or a command may need variables that nobody here knows of; keys are not among them.
            handed_on: variables,
        }
    }

    /// `PATH`
    #[must_use]
    pub fn path(&self) -> Option<&OsStr> {
        process::variable(&self.handed_on, "PATH")
    }
}

/// The identities of this machine.
#[derive(Default)]
pub struct Keyring {
    /// Native age types before ssh ones.
    own: IdentitySet,
    #[cfg(feature = "pgp")]
    pgp: Vec<PgpKey>,
    commands: KeyCommands,
    gnupg: Gnupg,
    surroundings: Surroundings,
    imported: Vec<(PathBuf, String)>,
    imported_pgp: Vec<(PathBuf, String)>,
}

/// A private key, seen from outside.
pub struct Key {
    pub source: Source,
    /// The recipients whose files it opens: for an Ed25519 ssh key the derived `age1…` and `ssh-ed25519 AAAA…`.
    pub recipients: Vec<String>,
}

impl Keyring {
    /// Reads every source. What cannot be used is in [`Keyring::skipped`]. Starts no program.
    #[must_use]
    pub fn collect(sources: &Sources) -> Self {
        Self::with_time_limit(sources, TIME_LIMIT)
    }

    fn with_time_limit(sources: &Sources, time_limit: Duration) -> Self {
        let environment = &sources.environment;
        let mut keyring = Self {
            commands: KeyCommands::new(
                environment.age_key_cmd.clone(),
                environment.age_ssh_private_key_cmd.clone(),
            ),
            gnupg: Gnupg::new(environment.gpg_exec.clone(), sources.gnupg_home.clone(), sources.may_ask),
            surroundings: Surroundings { environment: environment.handed_on.clone(), time_limit },
            ..Self::default()
        };
        for path in &sources.age_ssh_key_paths {
            let source = Source::file(path);
            match keyring.add_ssh_key(&source, path) {
                Ok(Some(derived)) => keyring.imported.push((path.clone(), derived)),
                Ok(None) => {}
                Err(reason) => keyring.own.skip(source, reason),
            }
        }
        for path in &sources.ssh_key_paths {
            let source = Source::file(path);
            keyring.add_pgp_key(&source, path).unwrap_or_else(|reason| keyring.own.skip(source, reason));
        }
        if let Some(path) = &sources.age_key_file {
            let source = Source::file(path);
            keyring
                .add_identity_file(&source, path)
                .unwrap_or_else(|reason| keyring.own.skip(source, reason));
        }
        keyring.add_environment(environment);
        for path in &sources.user_ssh_keys {
            let source = Source::file(path);
            match keyring.add_ssh_key(&source, path) {
                Ok(_) | Err(Unusable::NotFound) => {}
                Err(reason) => keyring.own.skip(source, reason),
            }
        }
        for path in &sources.user_key_files {
            let source = Source::file(path);
            match keyring.add_identity_file(&source, path) {
                Ok(()) | Err(Unusable::NotFound) => {}
                Err(reason) => keyring.own.skip(source, reason),
            }
        }
        keyring.own.identities.sort_by_key(Identity::is_ssh);
        keyring
    }

    /// Every key, in the order of the sources; those that commands printed last.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.sets().flat_map(|set| &set.keys)
    }

    /// Every configured ssh key that is used as an age identity, with its derived recipient (`age1…`).
    pub fn imported(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.imported.iter().map(|(path, recipient)| (path.as_path(), recipient.as_str()))
    }

    /// Every configured ssh key that is used as an OpenPGP key, with its fingerprint in lower-case hexadecimal.
    pub fn imported_pgp(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.imported_pgp.iter().map(|(path, fingerprint)| (path.as_path(), fingerprint.as_str()))
    }

    /// Every source, or line of one, that was passed over; each reason once.
    pub fn skipped(&self) -> Vec<&Skipped> {
        let mut skipped: Vec<&Skipped> = Vec::new();
        for one in self.sets().flat_map(|set| &set.skipped) {
            if !skipped.contains(&one) {
                skipped.push(one);
            }
        }
        skipped
    }

    /// Whether keys are configured that cannot be named, because a program holds them.
    pub fn has_programs(&self) -> bool {
        self.gnupg.is_configured()
            || !self.commands.is_empty()
            || self.sets().any(|set| !set.plugins.is_empty())
    }

    /// Whether [`Unwrap::unwrap_with_programs`] may run a program for a stanza of this kind.
    #[must_use]
    pub fn asks_programs(&self, kind: StanzaKind) -> bool {
        match kind {
            StanzaKind::Age => !self.commands.is_empty() || self.sets().any(|set| !set.plugins.is_empty()),
            StanzaKind::Pgp => true,
            _ => false,
        }
    }

    /// What is known by now.
    fn sets(&self) -> impl Iterator<Item = &IdentitySet> {
        std::iter::once(&self.own).chain(self.commands.printed())
    }

    /// Takes a key in every role it has for age. Returns the derived recipient of an Ed25519 key.
    fn add_ssh_key(&mut self, source: &Source, path: &Path) -> Result<Option<String>, Unusable> {
        let text = read(path, ssh_key::FILE_LIMIT)?;
        self.own.add_ssh_key(source, text.expose())
    }

    /// Takes an RSA key, as an OpenPGP key and for age.
    fn add_pgp_key(&mut self, source: &Source, path: &Path) -> Result<(), Unusable> {
        match SshKey::parse(read(path, ssh_key::FILE_LIMIT)?.expose())? {
            SshKey::Ed25519(_) => Err(Unusable::NotRsa),
            SshKey::Rsa(numbers) => self.hold_rsa(source, path, numbers),
        }
    }

    #[cfg(any(feature = "age-ssh", feature = "pgp"))]
    #[allow(clippy::unnecessary_wraps)] // Its twin below fails.
    fn hold_rsa(&mut self, source: &Source, path: &Path, numbers: RsaNumbers) -> Result<(), Unusable> {
        let key = Arc::new(RsaKey::new(numbers));
        let mut recipients = Vec::new();
        #[cfg(feature = "pgp")]
        {
            // First: it is what a file names that is encrypted to an OpenPGP key, and short.
            let key = PgpKey::new(Arc::clone(&key));
            let fingerprint = key.fingerprint();
            if !self.pgp.iter().any(|held| held.fingerprint() == fingerprint) {
                recipients.push(fingerprint.to_ascii_uppercase());
                self.pgp.push(key);
            }
            self.imported_pgp.push((path.to_owned(), fingerprint));
        }
        #[cfg(feature = "age-ssh")]
        recipients.extend(self.own.new_recipients([Identity::SshRsa(Box::new(SshRsa::new(key)))]));
        #[cfg(not(feature = "pgp"))]
        let _ = path;
        self.own.name(source.clone(), recipients);
        Ok(())
    }

    #[cfg(not(any(feature = "age-ssh", feature = "pgp")))]
    #[allow(clippy::unused_self)] // Its twin above uses it.
    fn hold_rsa(&mut self, _: &Source, _: &Path, _: RsaNumbers) -> Result<(), Unusable> {
        Err(Unusable::RsaUnsupported)
    }

    fn add_identity_file(&mut self, source: &Source, path: &Path) -> Result<(), Unusable> {
        let text = read(path, identity_file::FILE_LIMIT)?;
        self.own.add_identities(source, text.expose())
    }

    fn add_environment(&mut self, environment: &Environment) {
        if let Some(path) = &environment.age_ssh_private_key_file {
            let source = Source::file_of_variable(path, "SOPS_AGE_SSH_PRIVATE_KEY_FILE");
            if let Err(reason) = self.add_ssh_key(&source, path) {
                self.own.skip(source, reason);
            }
        }
        if let Some(text) = &environment.age_key {
            let source = Source::variable("SOPS_AGE_KEY");
            if let Err(reason) = self.own.add_identities(&source, text.expose()) {
                self.own.skip(source, reason);
            }
        }
        if let Some(text) = &environment.age_key_file_content {
            let source = Source::variable("SOPS_AGE_KEY_FILE");
            if let Err(reason) = self.own.add_identities(&source, text.expose()) {
                self.own.skip(source, reason);
            }
        }
        if let Some(path) = &environment.age_key_file {
            let source = Source::file_of_variable(path, "SOPS_AGE_KEY_FILE");
            if let Err(reason) = self.add_identity_file(&source, path) {
                self.own.skip(source, reason);
            }
        }
    }

    #[cfg_attr(not(feature = "pgp"), allow(clippy::unused_self))]
    fn open_pgp(&self, message: &str) -> Result<SecretBytes, Refusal> {
        #[cfg(feature = "pgp")]
        if !self.pgp.is_empty() {
            return self::pgp::open(message, &self.pgp);
        }
        #[cfg(not(feature = "pgp"))]
        let _ = message;
        Err(Refusal::NotOurs)
    }

    /// With what key commands print, then with age plugins. `refusal` is why the identities here do not open it.
    fn open_age_with_programs(&self, stanza: &Stanza, mut refusal: Refusal) -> Result<SecretBytes, Refusal> {
        let printed =
            [self.commands.ssh(&self.surroundings), self.commands.age(&stanza.recipient, &self.surroundings)];
        for set in printed.iter().copied().flatten() {
            match age_file::open(&stanza.enc, set.identities.iter(), None) {
                Err(Refusal::NotOurs | Refusal::Unsupported(_)) => {}
                Err(broken) => refusal = broken,
                opened => return opened,
            }
        }
        if let Some(outcome) = self.open_with_plugins(stanza) {
            match outcome {
                Err(Refusal::NotOurs) => {}
                Err(telling) => refusal = telling,
                opened => return opened,
            }
        }
        Err(refusal)
    }

    /// `None` when there is no plugin to ask.
    fn open_with_plugins(&self, stanza: &Stanza) -> Option<Result<SecretBytes, Refusal>> {
        if !self.sets().any(|set| !set.plugins.is_empty()) {
            return None;
        }
        let helper = |stanzas: &[age_core::format::Stanza]| {
            let mut reasons = Vec::new();
            for plugin in self.sets().flat_map(|set| &set.plugins) {
                match plugin.open(stanzas, &self.surroundings) {
                    Err(reason) => reasons.extend(reason),
                    opened => return opened,
                }
            }
            Err((!reasons.is_empty()).then(|| reasons.join("; ")))
        };
        Some(age_file::open(&stanza.enc, std::iter::empty(), Some(&helper)))
    }
}

impl Unwrap for Keyring {
    fn names(&self, stanza: &Stanza) -> bool {
        stanza.kind == StanzaKind::Age
            && self
                .own
                .identities
                .iter()
                .any(|identity| recipient::is_same(identity.recipient(), &stanza.recipient))
    }

    fn unwrap(&self, stanza: &Stanza) -> Result<SecretBytes, Refusal> {
        let unsupported = match stanza.kind {
            StanzaKind::Age => {
                // Anybody can have written the recipient, so it is a hint and refuses nothing.
                let mut identities: Vec<&Identity> = self.sets().flat_map(|set| &set.identities).collect();
                identities.sort_by_cached_key(|identity| {
                    !recipient::is_same(identity.recipient(), &stanza.recipient)
                });
                return age_file::open(&stanza.enc, identities.iter().copied(), None);
            }
            StanzaKind::Pgp => return self.open_pgp(&stanza.enc),
            StanzaKind::Kms => "AWS KMS entries are not supported",
            StanzaKind::GcpKms => "Google Cloud KMS entries are not supported",
            StanzaKind::Hckms => "Huawei Cloud KMS entries are not supported",
            StanzaKind::AzureKv => "Azure Key Vault entries are not supported",
            StanzaKind::HcVault => "HashiCorp Vault entries are not supported",
        };
        Err(Refusal::Unsupported(unsupported.into()))
    }

    fn unwrap_with_programs(&self, stanza: &Stanza, refusal: Refusal) -> Result<SecretBytes, Refusal> {
        match stanza.kind {
            StanzaKind::Age => self.open_age_with_programs(stanza, refusal),
            StanzaKind::Pgp => {
                self.gnupg.open(&stanza.enc, &self.surroundings).map_err(|last| match refusal {
                    Refusal::NotOurs => last,
                    broken => broken,
                })
            }
            _ => Err(refusal),
        }
    }
}

fn read(path: &Path, limit: u64) -> Result<SecretBytes, Unusable> {
    // An environment variable may be set and empty.
    if path.as_os_str().is_empty() {
        return Err(Unusable::Empty);
    }
    Ok(read_regular(path, limit)?)
}

#[cfg(test)]
mod tests;
