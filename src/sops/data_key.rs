//! The data key: the 32 bytes that open a document's values, wrapped once for every recipient.
//!
//! Recovers it from the stanzas of the metadata, through key groups and Shamir shares where there are any. Who can
//! open a stanza is somebody else's knowledge, behind [`Unwrap`].

use crate::secret::SecretBytes;

/// The kinds of master key that sops knows, in the order in which sops itself tries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StanzaKind {
    Kms,
    GcpKms,
    Hckms,
    AzureKv,
    HcVault,
    Pgp,
    Age,
}

/// The data key (or one share of it) wrapped for one recipient: one entry of the metadata's key lists.
#[derive(Clone, Debug)]
pub struct Stanza {
    pub kind: StanzaKind,
    /// Who can open it, as the file says: an age recipient, an OpenPGP fingerprint, an ARN. Informational: it is
    /// not authenticated.
    pub recipient: String,
    /// The wrapped key: age or OpenPGP armor, or the text of a key service.
    pub enc: String,
}

/// Why a stanza could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is for somebody else: no identity here matches.
    NotOurs,
    /// Nothing here can open stanzas of this kind, and why (`"kms entries are not supported"`).
    Unsupported(String),
    /// It is malformed, or made for us and yet does not open; the reason, without content.
    Broken(String),
}

/// Opens stanzas with the identities of this machine.
pub trait Unwrap: Sync {
    /// Whether the stanza's `recipient` names an identity that is here, so that it is worth trying first.
    fn names(&self, stanza: &Stanza) -> bool;

    /// The bytes inside.
    ///
    /// # Errors
    /// Why it does not open.
    fn unwrap(&self, stanza: &Stanza) -> Result<SecretBytes, Refusal>;
}
