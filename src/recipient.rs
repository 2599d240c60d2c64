//! Recipients: the public side of keys, in every form in which a sops file can name it, and which files those forms
//! open. Only what is public comes in here, and nothing is decrypted.
//!
//! One Ed25519 host key is two recipients, the derived `age1…` and its own `ssh-ed25519 AAAA…` line, and a file names
//! one of them. An RSA key is two as well, its `ssh-rsa AAAA…` line and an OpenPGP fingerprint.

pub mod access;
#[cfg(feature = "pgp")]
pub mod openpgp;
pub mod public_key;

use crate::sops::data_key::{Stanza, StanzaKind};

/// One name under which a key can be in a sops file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub list: List,
    /// `age1…`, `ssh-ed25519 AAAA…`, or a fingerprint in upper-case hexadecimal.
    pub text: String,
}

/// The list of a `.sops.yaml` in which a recipient stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    Age,
    Pgp,
}

impl Recipient {
    /// A recipient of one of our own keys: what is neither age's nor ssh's is a fingerprint.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.starts_with("age1") || text.starts_with("ssh-") { Self::age(text) } else { Self::pgp(text) }
    }

    pub(crate) fn age(text: impl Into<String>) -> Self {
        Self { list: List::Age, text: text.into() }
    }

    pub(crate) fn pgp(fingerprint: impl Into<String>) -> Self {
        Self { list: List::Pgp, text: fingerprint.into() }
    }

    /// Whether the stanza is for this recipient, by what the file says.
    #[must_use]
    pub fn is_named_by(&self, stanza: &Stanza) -> bool {
        match (self.list, stanza.kind) {
            (List::Age, StanzaKind::Age) => is_same(&self.text, &stanza.recipient),
            (List::Pgp, StanzaKind::Pgp) => is_same_fingerprint(&self.text, &stanza.recipient),
            _ => false,
        }
    }
}

impl List {
    /// As it is written there.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Pgp => "pgp",
        }
    }
}

/// Whether two age recipients are the same key. An ssh key may have a comment after it.
#[must_use]
pub fn is_same(ours: &str, theirs: &str) -> bool {
    ours.split_ascii_whitespace().take(2).eq(theirs.split_ascii_whitespace().take(2))
}

/// Fingerprints are written in either case, and with blanks where people copied them. Some files name a key by its id, which
/// is the end of the fingerprint. The short ids of old are not believed: anybody can make a key of one.
fn is_same_fingerprint(ours: &str, theirs: &str) -> bool {
    const ID: usize = 16;
    let digits = |text: &str| -> String {
        let text = text.trim_start_matches("0x");
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect()
    };
    let (ours, theirs) = (digits(ours), digits(theirs));
    ours == theirs || theirs.len() == ID && ours.ends_with(&theirs)
}

/// A recipient that can be recognised. Those of RSA keys have some 550 characters, post-quantum ones 2000.
#[must_use]
pub fn shortened(recipient: &str) -> String {
    const HEAD: usize = 40;
    const TAIL: usize = 16;
    let length = recipient.chars().count();
    if length <= 120 {
        return recipient.to_owned();
    }
    let head: String = recipient.chars().take(HEAD).collect();
    let tail: String = recipient.chars().skip(length - TAIL).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_recipient_keeps_its_ends() {
        let long = format!("age1pq{}end", "x".repeat(2000));
        let short = shortened(&long);
        assert!(short.starts_with("age1pqxxx") && short.ends_with("xxxend"), "{short}");
        assert_eq!(short.chars().count(), 57);
        assert_eq!(shortened("age1short"), "age1short");
    }

    #[test]
    fn comments_of_ssh_keys_and_the_case_of_fingerprints_do_not_matter() {
        assert!(is_same("ssh-ed25519 AAAA", "ssh-ed25519  AAAA root@web1"));
        assert!(!is_same("ssh-ed25519 AAAA", "ssh-ed25519 AAAB"));
        assert!(!is_same("age1a", "age1b"));
        let stanza = |kind, recipient: &str| Stanza { kind, recipient: recipient.into(), enc: String::new() };
        let ours = Recipient::pgp("FBA239CF16571AB75D813A4CD76C13565E129852");
        assert!(
            ours.is_named_by(&stanza(StanzaKind::Pgp, "0xfba2 39cf 1657 1ab7 5d81 3a4c d76c 1356 5e12 9852"))
        );
        assert!(!ours.is_named_by(&stanza(StanzaKind::Age, &ours.text)));
        assert!(ours.is_named_by(&stanza(StanzaKind::Pgp, "0xD76C13565E129852")), "the id of the key");
        assert!(ours.is_named_by(&stanza(StanzaKind::Pgp, "d76c13565e129852")));
        for other in ["FBA2", "5E129852", "D76C13565E129853", "FBA239CF16571AB7", ""] {
            assert!(!ours.is_named_by(&stanza(StanzaKind::Pgp, other)), "{other}");
        }
    }
}
