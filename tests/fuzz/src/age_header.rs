//! Age stanzas, armored: whatever is done to one, it opens to the key that was wrapped or not at all.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use sops_activate::keys::Keyring;
use sops_activate::sops::data_key::{Stanza, StanzaKind, Unwrap as _};

use super::originals::{self, repository};

pub fn run(data: &[u8]) {
    let Ok(armor) = std::str::from_utf8(data) else { return };
    opens_to_what_was_wrapped(StanzaKind::Age, armor);
}

/// Tries an `enc` with the identities of the vectors and fixtures.
pub fn opens_to_what_was_wrapped(kind: StanzaKind, enc: &str) {
    static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
        let keys = ["age.txt", "age-pq.txt", "group-1.txt", "host_ed25519", "host_rsa"];
        originals::keyring(&keys.map(|key| repository().join("tests/fixtures/keys").join(key)))
    });
    static WRAPPED: LazyLock<BTreeSet<Vec<u8>>> = LazyLock::new(|| {
        let stanzas = originals::all().iter().flat_map(|original| &original.stanzas);
        stanzas.filter_map(|stanza| KEYRING.unwrap(stanza).ok().map(|key| key.expose().to_vec())).collect()
    });
    assert!(!WRAPPED.is_empty());
    let stanza = Stanza { kind, recipient: String::new(), enc: enc.to_owned() };
    match KEYRING.unwrap(&stanza) {
        Ok(key) => assert!(WRAPPED.contains(key.expose()), "it opens to a key that was never wrapped"),
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
}
