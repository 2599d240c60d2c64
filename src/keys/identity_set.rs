//! The identities that some sources hold, each once, with what is told of them and of what was passed over.

#[cfg(feature = "age-ssh")]
use std::sync::Arc;

use super::Key;
use super::identity::Identity;
use super::identity_file::IdentityFile;
use super::plugin::{Plugin, PluginIdentity};
#[cfg(feature = "age-ssh")]
use super::rsa_key::RsaKey;
use super::source::{Skipped, Source, Unusable};
use super::ssh_ed25519;
use super::ssh_key::{RsaNumbers, SshKey};
#[cfg(feature = "age-ssh")]
use super::ssh_rsa::SshRsa;

#[derive(Default)]
pub struct IdentitySet {
    /// No two of the same recipient.
    pub identities: Vec<Identity>,
    pub plugins: Vec<Plugin>,
    pub keys: Vec<Key>,
    pub skipped: Vec<Skipped>,
}

impl IdentitySet {
    pub fn skip(&mut self, source: Source, reason: Unusable) {
        self.skipped.push(Skipped { source, reason });
    }

    /// Holds the identities of one private key, each only once however many sources have it: every further one would be
    /// tried on every stanza.
    pub fn hold(&mut self, source: Source, identities: impl IntoIterator<Item = Identity>) {
        let recipients = self.new_recipients(identities);
        self.name(source, recipients);
    }

    /// As [`hold`](Self::hold), and returns the recipients of those that were not held yet.
    pub fn new_recipients(&mut self, identities: impl IntoIterator<Item = Identity>) -> Vec<String> {
        let mut recipients = Vec::new();
        for identity in identities {
            if !self.identities.iter().any(|held| held.recipient() == identity.recipient()) {
                recipients.push(identity.recipient().to_owned());
                self.identities.push(identity);
            }
        }
        recipients
    }

    /// Remembers the key that opens files for `recipients`, if there are any.
    pub fn name(&mut self, source: Source, recipients: Vec<String>) {
        if !recipients.is_empty() {
            self.keys.push(Key { source, recipients });
        }
    }

    /// Takes an ssh key in every role that it has for age. Returns the derived recipient of an Ed25519 key.
    pub fn add_ssh_key(&mut self, source: &Source, text: &[u8]) -> Result<Option<String>, Unusable> {
        match SshKey::parse(text)? {
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

    /// Takes the text of an identity file.
    pub fn add_identities(&mut self, source: &Source, text: &[u8]) -> Result<(), Unusable> {
        let file = IdentityFile::parse(text)?;
        // The number of the only line of a variable would say nothing.
        let no_lines = file.single_line && source.is_variable();
        let at = |line| if no_lines { source.clone() } else { source.at_line(line) };
        for (line, identity) in file.identities {
            self.hold(at(line), [identity]);
        }
        for (line, identity) in file.plugins {
            self.hold_plugin(at(line), identity);
        }
        for (line, reason) in file.skipped {
            self.skip(at(line), reason);
        }
        if file.more_skipped > 0 {
            self.skip(source.clone(), Unusable::MoreLines(file.more_skipped));
        }
        Ok(())
    }

    fn hold_plugin(&mut self, source: Source, identity: PluginIdentity) {
        let left = self.plugins.iter_mut().try_fold(identity, |identity, plugin| plugin.add(identity));
        self.plugins.extend(left.map(|identity| Plugin::new(source, identity)));
    }
}

#[cfg(feature = "age-ssh")]
#[allow(clippy::unnecessary_wraps)] // Its twin below fails.
fn rsa_identity(numbers: RsaNumbers) -> Result<Identity, Unusable> {
    Ok(Identity::SshRsa(Box::new(SshRsa::new(Arc::new(RsaKey::new(numbers))))))
}

#[cfg(not(feature = "age-ssh"))]
fn rsa_identity(_: RsaNumbers) -> Result<Identity, Unusable> {
    Err(Unusable::RsaUnsupported)
}
