//! The data key: the 32 bytes that open a document's values, wrapped once for every recipient.
//!
//! Recovers it from the stanzas of the metadata, through key groups and Shamir shares where there are any. Who can
//! open a stanza is somebody else's knowledge, behind [`Unwrap`].

use std::fmt;

use zeroize::Zeroize as _;

use super::shamir::{self, ShareError};
use crate::secret::SecretBytes;

/// Bytes of a data key: AES-256. sops writes no other size.
const DATA_KEY_BYTES: usize = 32;

/// The key of a document's values. Wiped on drop; it has no `Debug`.
pub struct DataKey(Box<[u8; DATA_KEY_BYTES]>);

impl DataKey {
    /// `None` unless there are exactly 32 bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        // On the heap from the start: on the stack it would leave a copy wherever it is moved from.
        let mut key = Box::new([0; DATA_KEY_BYTES]);
        (bytes.len() == DATA_KEY_BYTES).then(|| {
            key.copy_from_slice(bytes);
            Self(key)
        })
    }

    #[must_use]
    pub fn expose(&self) -> &[u8; DATA_KEY_BYTES] {
        &self.0
    }
}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

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
    /// A program that may hold a key for it does not open it: why, and the one thing to do about the program.
    Program { reason: String, help: String },
    /// It is malformed, or made for us and yet does not open; the reason, without content.
    Broken(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs => f.write_str("no key here matches"),
            Self::Unsupported(reason) | Self::Program { reason, .. } | Self::Broken(reason) => {
                f.write_str(reason)
            }
        }
    }
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

    /// The same with the help of other programs, which may take long. `refusal` is what [`unwrap`](Self::unwrap)
    /// said. Asked only for a group of which no stanza opens without.
    ///
    /// # Errors
    /// Why it does not open that way either.
    fn unwrap_with_programs(&self, _: &Stanza, refusal: Refusal) -> Result<SecretBytes, Refusal> {
        Err(refusal)
    }
}

/// What became of one key group: whether it gave its share, and why each stanza that was tried did not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOutcome {
    pub opened: bool,
    pub refusals: Vec<(StanzaKind, String, Refusal)>,
}

/// Why the data key could not be recovered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// Not enough groups opened. With one group this is the everyday "no key here opens this file".
    #[error("{opened} of {needed} key groups opened")]
    TooFewGroups { needed: usize, opened: usize, groups: Vec<GroupOutcome> },
    #[error("the shares of the key groups cannot be combined: {0}")]
    Shares(#[from] ShareError),
    #[error("the data key has {0} bytes, not 32")]
    Length(usize),
}

/// Recovers the data key from the stanzas of `groups`, each group giving the key itself (one group) or a Shamir
/// share of it (several, of which `threshold` are needed).
///
/// Every group is tried even after enough have opened, and all their shares are combined, as sops does. Within a
/// group the stanzas that name an identity of ours come first, then the other age stanzas, then the rest; other
/// programs are asked, in the same order, when all of them have failed.
///
/// # Errors
/// With every refusal of every group, when not enough of them open.
pub fn recover(
    groups: &[Vec<Stanza>],
    threshold: usize,
    keyring: &dyn Unwrap,
) -> Result<DataKey, RecoverError> {
    let mut shares = Vec::with_capacity(groups.len());
    let mut outcomes = Vec::with_capacity(groups.len());
    for stanzas in groups {
        let mut refused = Vec::new();
        let mut share = by_promise(stanzas, keyring).into_iter().find_map(|stanza| {
            keyring.unwrap(stanza).and_then(filled).map_err(|refusal| refused.push((stanza, refusal))).ok()
        });
        let mut refusals = Vec::with_capacity(refused.len());
        for (stanza, mut refusal) in refused {
            if share.is_none() {
                match keyring.unwrap_with_programs(stanza, refusal).and_then(filled) {
                    Ok(opened) => {
                        share = Some(opened);
                        continue;
                    }
                    Err(last) => refusal = last,
                }
            }
            refusals.push((stanza.kind, stanza.recipient.clone(), refusal));
        }
        outcomes.push(GroupOutcome { opened: share.is_some(), refusals });
        shares.extend(share);
    }
    // One group holds the key itself, whatever the threshold says. A threshold of 0 is what old files have; sops
    // then combines what there is.
    let needed = if groups.len() == 1 { 1 } else { threshold };
    if shares.len() < needed.max(1) {
        return Err(RecoverError::TooFewGroups {
            needed: needed.max(1),
            opened: shares.len(),
            groups: outcomes,
        });
    }
    let combined;
    let key = match (groups.len(), shares.as_slice()) {
        (1, [key]) => key,
        _ => {
            combined = shamir::combine(&shares)?;
            &combined
        }
    };
    DataKey::new(key.expose()).ok_or(RecoverError::Length(key.len()))
}

/// An empty key counts as none, as in sops.
fn filled(share: SecretBytes) -> Result<SecretBytes, Refusal> {
    if share.is_empty() { Err(Refusal::Broken("the key inside is empty".to_owned())) } else { Ok(share) }
}

fn by_promise<'a>(stanzas: &'a [Stanza], keyring: &dyn Unwrap) -> Vec<&'a Stanza> {
    let mut order: Vec<&Stanza> = stanzas.iter().collect();
    if let [_, _, ..] = stanzas {
        order.sort_by_cached_key(|stanza| match stanza.kind {
            _ if keyring.names(stanza) => 0,
            StanzaKind::Age => 1,
            StanzaKind::Pgp => 2,
            _ => 3,
        });
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens every stanza whose `enc` starts with "open:", to what follows.
    struct Opens;

    impl Unwrap for Opens {
        fn names(&self, stanza: &Stanza) -> bool {
            stanza.recipient == "ours"
        }

        fn unwrap(&self, stanza: &Stanza) -> Result<SecretBytes, Refusal> {
            match stanza.enc.strip_prefix("open:") {
                Some(key) => Ok(SecretBytes::from(key.as_bytes())),
                None => Err(Refusal::NotOurs),
            }
        }
    }

    fn stanza(recipient: &str, enc: &str) -> Stanza {
        Stanza { kind: StanzaKind::Age, recipient: recipient.to_owned(), enc: enc.to_owned() }
    }

    const KEY: &str = "open:0123456789abcdef0123456789abcdef";

    #[test]
    fn one_group_ignores_the_threshold() {
        for threshold in [0, 1, 5] {
            let key = recover(&[vec![stanza("a", ""), stanza("b", KEY)]], threshold, &Opens).ok().unwrap();
            assert_eq!(key.expose(), b"0123456789abcdef0123456789abcdef");
        }
    }

    #[test]
    fn a_stanza_that_names_us_is_tried_first() {
        let group = vec![stanza("b", "open:wrong"), stanza("ours", KEY)];
        assert!(recover(&[group], 0, &Opens).is_ok());
    }

    #[test]
    fn every_refusal_is_kept() {
        let error = recover(&[vec![stanza("a", ""), stanza("b", "open:")], vec![]], 2, &Opens).err().unwrap();
        let RecoverError::TooFewGroups { needed: 2, opened: 0, groups } = error else { panic!("{error:?}") };
        let refusals: Vec<usize> = groups.iter().map(|group| group.refusals.len()).collect();
        assert_eq!(refusals, [2, 0]);
    }

    #[test]
    fn a_key_of_another_size_is_refused() {
        let error = recover(&[vec![stanza("a", "open:short")]], 0, &Opens).err().unwrap();
        assert_eq!(error, RecoverError::Length(5));
    }

    #[test]
    fn all_shares_beyond_the_threshold_are_combined() {
        let share = |text: &str, x: u8| stanza("x", &format!("open:{text}{}", char::from(x)));
        // The constant polynomial: every share holds the key itself.
        let text = "0123456789abcdef0123456789abcdef";
        let groups = [vec![share(text, 1)], vec![share(text, 2)], vec![share(text, 3)]];
        assert_eq!(recover(&groups, 2, &Opens).ok().unwrap().expose(), text.as_bytes());
        let one = [vec![share(text, 1)], vec![stanza("x", "")]];
        assert_eq!(recover(&one, 0, &Opens).err().unwrap(), RecoverError::Shares(ShareError::TooFew));
    }
}
