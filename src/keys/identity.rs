//! The identities that open age stanzas, whatever their type.

use age_core::format::Stanza;

#[cfg(feature = "age-pq")]
use super::post_quantum::{self, PostQuantum};
use super::ssh_ed25519::{self, SshEd25519};
#[cfg(feature = "age-ssh")]
use super::ssh_rsa::{self, SshRsa};
use super::stanza::Answer;
use super::x25519::{self, X25519};

/// A private key in one of the roles that age knows.
pub enum Identity {
    X25519(X25519),
    #[cfg(feature = "age-pq")]
    PostQuantum(Box<PostQuantum>),
    SshEd25519(SshEd25519),
    #[cfg(feature = "age-ssh")]
    SshRsa(Box<SshRsa>),
}

/// The stanza types that an identity may open.
pub const STANZA_TYPES: &[&str] = &[
    x25519::STANZA_TYPE,
    #[cfg(feature = "age-pq")]
    post_quantum::STANZA_TYPE,
    ssh_ed25519::STANZA_TYPE,
    #[cfg(feature = "age-ssh")]
    ssh_rsa::STANZA_TYPE,
];

impl Identity {
    /// The public side, as it stands in sops files: `age1…` or `ssh-ed25519 AAAA…`.
    pub fn recipient(&self) -> &str {
        match self {
            Self::X25519(key) => key.recipient(),
            #[cfg(feature = "age-pq")]
            Self::PostQuantum(key) => key.recipient(),
            Self::SshEd25519(key) => key.recipient(),
            #[cfg(feature = "age-ssh")]
            Self::SshRsa(key) => key.recipient(),
        }
    }

    /// Tries one stanza of an age header.
    pub fn open(&self, stanza: &Stanza) -> Answer {
        match self {
            Self::X25519(key) => key.open(stanza),
            #[cfg(feature = "age-pq")]
            Self::PostQuantum(key) => key.open(stanza),
            Self::SshEd25519(key) => key.open(stanza),
            #[cfg(feature = "age-ssh")]
            Self::SshRsa(key) => key.open(stanza),
        }
    }

    /// Native age types are tried before ssh ones, as sops does.
    pub fn is_ssh(&self) -> bool {
        self.recipient().starts_with("ssh-")
    }
}
