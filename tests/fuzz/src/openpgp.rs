//! OpenPGP messages to an RSA host key: whatever is done to one, it opens to the key that was wrapped or not at all.

use sops_activate::sops::data_key::StanzaKind;

use super::age_header::opens_to_what_was_wrapped;

pub fn run(data: &[u8]) {
    let Ok(armor) = std::str::from_utf8(data) else { return };
    opens_to_what_was_wrapped(StanzaKind::Pgp, armor);
}
