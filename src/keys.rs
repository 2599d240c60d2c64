//! Who can open a stanza: the identities of this machine, from ssh keys, identity files and the environment.
//!
//! Sources are alternatives. What is missing or broken is remembered, to be told when a file cannot be opened, and
//! stops nothing by itself. Private keys stay in wiped memory and are never written or formatted; of a source that
//! cannot be read only the path and the line number are kept.
//!
//! Not there yet: age plugins, PGP, and the commands that the environment can name.

mod age_file;
mod identity;
mod identity_file;
#[cfg(feature = "age-pq")]
mod post_quantum;
mod source;
mod ssh_ed25519;
mod ssh_key;
#[cfg(feature = "age-ssh")]
mod ssh_rsa;
mod stanza;
mod x25519;

use std::path::{Path, PathBuf};

use crate::secret::SecretBytes;
use crate::sops::data_key::{Refusal, Stanza, StanzaKind, Unwrap};
use crate::system::file::read_regular;
use identity::Identity;
use identity_file::IdentityFile;
pub use source::{Skipped, Source, Unusable};
use ssh_key::{RsaNumbers, SshKey};
#[cfg(feature = "age-ssh")]
use ssh_rsa::SshRsa;

/// Where identities may be.
#[derive(Default)]
pub struct Sources {
    /// Ssh keys to be used as age identities, both derived and native.
    pub age_ssh_key_paths: Vec<PathBuf>,
    /// Ssh keys to be used as PGP keys. RSA keys among them open `ssh-rsa` stanzas, too.
    pub ssh_key_paths: Vec<PathBuf>,
    pub age_key_file: Option<PathBuf>,
    pub environment: Environment,
    /// Identity files in the user's own directories; that one does not exist is not worth a note.
    pub user_key_files: Vec<PathBuf>,
    /// Ssh keys in the user's own directories; that one does not exist is not worth a note.
    pub user_ssh_keys: Vec<PathBuf>,
}

/// What the environment says about age identities. A variable that is set and empty counts as set.
#[derive(Default)]
pub struct Environment {
    /// The content of `SOPS_AGE_KEY`.
    pub age_key: Option<SecretBytes>,
    /// `SOPS_AGE_KEY_FILE`
    pub age_key_file: Option<PathBuf>,
    /// `SOPS_AGE_SSH_PRIVATE_KEY_FILE`
    pub age_ssh_private_key_file: Option<PathBuf>,
    /// Whether `SOPS_AGE_KEY_CMD` is set.
    pub age_key_cmd: bool,
    /// Whether `SOPS_AGE_SSH_PRIVATE_KEY_CMD` is set.
    pub age_ssh_private_key_cmd: bool,
}

/// The identities of this machine.
#[derive(Default)]
pub struct Keyring {
    /// No two of the same recipient; native age types before ssh ones.
    identities: Vec<Identity>,
    keys: Vec<Key>,
    imported: Vec<(PathBuf, String)>,
    skipped: Vec<Skipped>,
}

/// A private key, seen from outside.
pub struct Key {
    pub source: Source,
    /// The recipients whose files it opens: for an Ed25519 ssh key the derived `age1…` and `ssh-ed25519 AAAA…`.
    pub recipients: Vec<String>,
}

impl Keyring {
    /// Reads every source. What cannot be used is in [`Keyring::skipped`].
    #[must_use]
    pub fn collect(sources: &Sources) -> Self {
        let mut keyring = Self::default();
        for path in &sources.age_ssh_key_paths {
            let source = Source::file(path);
            match keyring.add_ssh_key(&source, path) {
                Ok(Some(derived)) => keyring.imported.push((path.clone(), derived)),
                Ok(None) => {}
                Err(reason) => keyring.skip(source, reason),
            }
        }
        for path in &sources.ssh_key_paths {
            let source = Source::file(path);
            keyring.add_rsa_key(&source, path).unwrap_or_else(|reason| keyring.skip(source, reason));
        }
        if let Some(path) = &sources.age_key_file {
            let source = Source::file(path);
            keyring.add_identity_file(&source, path).unwrap_or_else(|reason| keyring.skip(source, reason));
        }
        keyring.add_environment(&sources.environment);
        for path in &sources.user_ssh_keys {
            let source = Source::file(path);
            match keyring.add_ssh_key(&source, path) {
                Ok(_) | Err(Unusable::NotFound) => {}
                Err(reason) => keyring.skip(source, reason),
            }
        }
        for path in &sources.user_key_files {
            let source = Source::file(path);
            match keyring.add_identity_file(&source, path) {
                Ok(()) | Err(Unusable::NotFound) => {}
                Err(reason) => keyring.skip(source, reason),
            }
        }
        keyring.identities.sort_by_key(Identity::is_ssh);
        keyring
    }

    /// Every key, in the order of the sources.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// Every configured ssh key that is used as an age identity, with its derived recipient (`age1…`).
    pub fn imported(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.imported.iter().map(|(path, recipient)| (path.as_path(), recipient.as_str()))
    }

    /// Every source, or line of one, that was passed over.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    fn skip(&mut self, source: Source, reason: Unusable) {
        self.skipped.push(Skipped { source, reason });
    }

    /// Remembers the identities of one private key, each only once however many sources have it: every further one
    /// would be tried on every stanza.
    fn hold(&mut self, source: Source, identities: impl IntoIterator<Item = Identity>) {
        let mut recipients = Vec::new();
        for identity in identities {
            if !self.identities.iter().any(|held| held.recipient() == identity.recipient()) {
                recipients.push(identity.recipient().to_owned());
                self.identities.push(identity);
            }
        }
        if !recipients.is_empty() {
            self.keys.push(Key { source, recipients });
        }
    }

    /// Takes a key in every role it has. Returns the derived recipient of an Ed25519 key.
    fn add_ssh_key(&mut self, source: &Source, path: &Path) -> Result<Option<String>, Unusable> {
        match read_ssh_key(path)? {
            SshKey::Ed25519(seed) => {
                let (derived, native) = ssh_ed25519::identities(&seed);
                let recipient = derived.recipient().to_owned();
                self.hold(source.clone(), [Identity::X25519(derived), Identity::SshEd25519(native)]);
                Ok(Some(recipient))
            }
            SshKey::Rsa(numbers) => {
                self.hold(source.clone(), [rsa_identity(numbers)?]);
                Ok(None)
            }
        }
    }

    /// Takes an RSA key only.
    fn add_rsa_key(&mut self, source: &Source, path: &Path) -> Result<(), Unusable> {
        match read_ssh_key(path)? {
            SshKey::Ed25519(_) => Err(Unusable::NotRsa),
            SshKey::Rsa(numbers) => {
                self.hold(source.clone(), [rsa_identity(numbers)?]);
                Ok(())
            }
        }
    }

    fn add_identity_file(&mut self, source: &Source, path: &Path) -> Result<(), Unusable> {
        let text = read(path, identity_file::FILE_LIMIT)?;
        let file = IdentityFile::parse(text.expose())?;
        self.add_lines(source, file, |line| source.at_line(line));
        Ok(())
    }

    fn add_lines(&mut self, source: &Source, file: IdentityFile, at: impl Fn(usize) -> Source) {
        for (line, identity) in file.identities {
            self.hold(at(line), [identity]);
        }
        for (line, reason) in file.skipped {
            self.skip(at(line), reason);
        }
        if file.more_skipped > 0 {
            self.skip(source.clone(), Unusable::MoreLines(file.more_skipped));
        }
    }

    fn add_environment(&mut self, environment: &Environment) {
        if let Some(path) = &environment.age_ssh_private_key_file {
            let source = Source::file_of_variable(path, "SOPS_AGE_SSH_PRIVATE_KEY_FILE");
            if let Err(reason) = self.add_ssh_key(&source, path) {
                self.skip(source, reason);
            }
        }
        if let Some(text) = &environment.age_key {
            let source = Source::variable("SOPS_AGE_KEY");
            match IdentityFile::parse(text.expose()) {
                // The number of the only line would say nothing.
                Ok(file) if file.single_line => self.add_lines(&source, file, |_| source.clone()),
                Ok(file) => self.add_lines(&source, file, |line| source.at_line(line)),
                Err(reason) => self.skip(source, reason),
            }
        }
        if let Some(path) = &environment.age_key_file {
            let source = Source::file_of_variable(path, "SOPS_AGE_KEY_FILE");
            if let Err(reason) = self.add_identity_file(&source, path) {
                self.skip(source, reason);
            }
        }
        if environment.age_key_cmd {
            self.skip(Source::variable("SOPS_AGE_KEY_CMD"), Unusable::Command);
        }
        if environment.age_ssh_private_key_cmd {
            self.skip(Source::variable("SOPS_AGE_SSH_PRIVATE_KEY_CMD"), Unusable::Command);
        }
    }
}

impl Unwrap for Keyring {
    fn names(&self, stanza: &Stanza) -> bool {
        stanza.kind == StanzaKind::Age
            && self.identities.iter().any(|identity| same_recipient(identity.recipient(), &stanza.recipient))
    }

    fn unwrap(&self, stanza: &Stanza) -> Result<SecretBytes, Refusal> {
        let unsupported = match stanza.kind {
            StanzaKind::Age => {
                // Anybody can have written the recipient, so it is a hint and refuses nothing.
                let named = |identity: &&Identity| same_recipient(identity.recipient(), &stanza.recipient);
                let first = self.identities.iter().filter(named);
                let others = self.identities.iter().filter(move |identity| !named(identity));
                return age_file::open(&stanza.enc, first.chain(others));
            }
            StanzaKind::Pgp => "OpenPGP entries are not supported yet",
            StanzaKind::Kms => "AWS KMS entries are not supported",
            StanzaKind::GcpKms => "Google Cloud KMS entries are not supported",
            StanzaKind::Hckms => "Huawei Cloud KMS entries are not supported",
            StanzaKind::AzureKv => "Azure Key Vault entries are not supported",
            StanzaKind::HcVault => "HashiCorp Vault entries are not supported",
        };
        Err(Refusal::Unsupported(unsupported.into()))
    }
}

fn read_ssh_key(path: &Path) -> Result<SshKey, Unusable> {
    SshKey::parse(read(path, ssh_key::FILE_LIMIT)?.expose())
}

fn read(path: &Path, limit: u64) -> Result<SecretBytes, Unusable> {
    // An environment variable may be set and empty.
    if path.as_os_str().is_empty() {
        return Err(Unusable::Empty);
    }
    Ok(read_regular(path, limit)?)
}

#[cfg(feature = "age-ssh")]
#[allow(clippy::unnecessary_wraps)] // Its twin below fails.
fn rsa_identity(numbers: RsaNumbers) -> Result<Identity, Unusable> {
    Ok(Identity::SshRsa(Box::new(SshRsa::new(numbers))))
}

#[cfg(not(feature = "age-ssh"))]
fn rsa_identity(_: RsaNumbers) -> Result<Identity, Unusable> {
    Err(Unusable::RsaUnsupported)
}

/// Whether two recipients are the same key. An ssh key may have a comment after it.
fn same_recipient(ours: &str, theirs: &str) -> bool {
    ours.split_ascii_whitespace().eq(theirs.split_ascii_whitespace().take(2))
}

#[cfg(test)]
mod tests;
