//! The public side of whatever holds keys: private ssh keys and age identities, and what is public already. For
//! people who want to know what to encrypt to; nothing here can open anything.

use super::identity_file::IdentityFile;
use super::identity_set::IdentitySet;
use super::source::{Source, Unusable};
use super::ssh_key;
use crate::recipient::public_key::{NotAKey, PublicKey};

/// One key of a text, or a line that gave none.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// Counted from 1; none where the text is one key.
    pub line: Option<usize>,
    /// The host that the line names.
    pub host: Option<String>,
    pub key: Result<PublicKey, NoPublicKey>,
    /// Why the private key cannot be used as it is, although its public side is known.
    pub flaw: Option<Unusable>,
}

/// Why there is nothing to encrypt to. Holds nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPublicKey {
    #[error(transparent)]
    Public(#[from] NotAKey),
    #[error(transparent)]
    Private(#[from] Unusable),
    #[error("only the age plugin that holds it knows its recipient")]
    Plugin,
    #[error("there is no key in it")]
    Empty,
}

/// Whether there is a private key in the text, usable or not.
#[must_use]
pub fn is_private(text: &[u8]) -> bool {
    [&b"PRIVATE KEY-----"[..], b"AGE-SECRET-KEY-", b"AGE-PLUGIN-"]
        .iter()
        .any(|mark| memchr::memmem::find(text, mark).is_some())
}

/// Every key in the text of a key file, an identity file, or lines of public keys.
#[must_use]
pub fn show(text: &[u8]) -> Vec<Shown> {
    let shown = if memchr::memmem::find(text, b"PRIVATE KEY-----").is_some() {
        vec![private_ssh_key(text)]
    } else if is_private(text) {
        identities(text)
    } else {
        public_lines(text)
    };
    if shown.is_empty() { vec![Shown::failed(None, NoPublicKey::Empty)] } else { shown }
}

impl Shown {
    fn failed(line: Option<usize>, reason: impl Into<NoPublicKey>) -> Self {
        Self { line, host: None, key: Err(reason.into()), flaw: None }
    }
}

fn private_ssh_key(text: &[u8]) -> Shown {
    let mut set = IdentitySet::default();
    let (line, flaw) = match set.add_ssh_key(&Source::variable(""), text) {
        Ok(_) => (ssh_line(&set), None),
        // What is public in it can be read without the passphrase.
        Err(flaw) => match ssh_key::public_line(text) {
            Some(line) => (Some(line), Some(flaw)),
            None => return Shown::failed(None, flaw),
        },
    };
    let parsed = line.map_or(Ok(None), |line| PublicKey::parse_line(&line));
    let key = match parsed {
        Ok(Some((_, key))) => Ok(key),
        Ok(None) => Err(NoPublicKey::Empty),
        Err(error) => Err(error.into()),
    };
    Shown { line: None, host: None, key, flaw }
}

/// The line of the ssh key in the set.
fn ssh_line(set: &IdentitySet) -> Option<String> {
    let mut recipients = set.keys.iter().flat_map(|key| &key.recipients);
    recipients.find(|recipient| recipient.starts_with("ssh-")).cloned()
}

fn identities(text: &[u8]) -> Vec<Shown> {
    let file = match IdentityFile::parse(text) {
        Ok(file) => file,
        Err(reason) => return vec![Shown::failed(None, reason)],
    };
    let mut shown: Vec<Shown> = Vec::new();
    for (line, identity) in &file.identities {
        let key = match PublicKey::parse_line(identity.recipient()) {
            Ok(Some((_, key))) => Ok(key),
            Ok(None) => Err(NoPublicKey::Empty),
            Err(error) => Err(error.into()),
        };
        shown.push(Shown { line: Some(*line), host: None, key, flaw: None });
    }
    shown.extend(file.plugins.iter().map(|(line, _)| Shown::failed(Some(*line), NoPublicKey::Plugin)));
    shown.extend(file.skipped.into_iter().map(|(line, reason)| Shown::failed(Some(line), reason)));
    if file.more_skipped > 0 {
        shown.push(Shown::failed(None, Unusable::MoreLines(file.more_skipped)));
    }
    shown.sort_by_key(|shown| shown.line.unwrap_or(usize::MAX));
    shown
}

/// Further lines that are no keys are counted: the report of a file of something else must not drown the rest.
fn public_lines(text: &[u8]) -> Vec<Shown> {
    const TOLD: usize = 8;
    let mut shown = Vec::new();
    let (mut told, mut more) = (0, 0);
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line_number = Some(index + 1);
        match std::str::from_utf8(line).map_err(|_| NotAKey::Unknown).and_then(PublicKey::parse_line) {
            Ok(None) => {}
            Ok(Some((host, key))) => {
                shown.push(Shown { line: line_number, host, key: Ok(key), flaw: None });
            }
            Err(_) if told == TOLD => more += 1,
            Err(reason) => {
                told += 1;
                shown.push(Shown::failed(line_number, reason));
            }
        }
    }
    if more > 0 {
        shown.push(Shown::failed(None, Unusable::MoreLines(more)));
    }
    if let [only] = shown.as_mut_slice()
        && !text.trim_ascii().contains(&b'\n')
    {
        only.line = None;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipient::public_key::Kind;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/fixtures/keys/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn recipients(text: &[u8]) -> Vec<String> {
        let keys = show(text).into_iter().filter_map(|shown| shown.key.ok());
        keys.flat_map(|key| key.recipients).map(|recipient| recipient.text).collect()
    }

    #[test]
    fn a_private_key_in_any_wrapping_and_its_public_line_say_the_same() {
        let public = recipients(&fixture("host_ed25519.pub"));
        assert_eq!(public.len(), 2);
        assert_eq!(public[0], String::from_utf8(fixture("host_ed25519.age")).unwrap().trim());
        assert_eq!(recipients(&fixture("host_ed25519")), public);
        assert_eq!(recipients(&fixture("host_ed25519_pkcs8")), public);
    }

    #[cfg(all(feature = "pgp", feature = "age-ssh"))]
    #[test]
    fn an_rsa_key_is_its_line_and_the_fingerprint_that_the_keyring_has() {
        let public = recipients(&fixture("host_rsa.pub"));
        assert_eq!(recipients(&fixture("host_rsa")), public);
        let path = format!("{}/tests/fixtures/keys/host_rsa", env!("CARGO_MANIFEST_DIR"));
        let keyring = super::super::Keyring::collect(&super::super::Sources {
            ssh_key_paths: vec![path.into()],
            ..Default::default()
        });
        let mut held = keyring.keys().next().unwrap().recipients.clone();
        held.sort();
        let mut public = public;
        public.sort();
        assert_eq!(public, held);
    }

    #[test]
    fn an_encrypted_key_shows_its_public_side_and_its_flaw() {
        let [shown] = show(&fixture("host_encrypted")).try_into().unwrap();
        assert_eq!(shown.flaw, Some(Unusable::EncryptedKey));
        assert_eq!(shown.key.unwrap().kind, Kind::Ed25519);
        assert_eq!(recipients(&fixture("host_encrypted")), recipients(&fixture("host_encrypted.pub")));
    }

    #[test]
    fn a_key_that_nothing_encrypts_to_is_told() {
        let [shown] = show(&fixture("host_ecdsa")).try_into().unwrap();
        assert_eq!(shown.key, Err(NoPublicKey::Private(Unusable::WrongAlgorithm("an ECDSA"))));
        let [shown] = show(&fixture("host_ecdsa.pub")).try_into().unwrap();
        assert_eq!(shown.key, Err(NoPublicKey::Public(NotAKey::Algorithm("an ECDSA"))));
        assert_eq!(show(b"")[0].key, Err(NoPublicKey::Empty));
        assert_eq!(show(b"# nothing\n")[0].key, Err(NoPublicKey::Empty));
        let noise = show("noise\n".repeat(1000).as_bytes());
        assert_eq!(noise.len(), 9);
        assert_eq!(noise[8].key, Err(NoPublicKey::Private(Unusable::MoreLines(992))));
    }

    #[test]
    fn identities_and_keyscan_lines_are_told_by_line() {
        let file = show(&fixture("age-one-bad-line.txt"));
        let usable: Vec<bool> = file.iter().map(|shown| shown.key.is_ok()).collect();
        assert_eq!(usable, [true, false, true]);
        assert!(file.iter().all(|shown| shown.line.is_some()));
        let scan = [b"# web1:22 SSH-2.0\nweb1 ".to_vec(), fixture("host_ed25519.pub")].concat();
        let [shown] = show(&scan).try_into().unwrap();
        assert_eq!((shown.line, shown.host.as_deref()), (Some(2), Some("web1")));
    }
}
