//! The classic age identity, `AGE-SECRET-KEY-1…`, and what is derived from an Ed25519 seed.
//!
//! The age crate has this identity, too, but computes its public key anew for every stanza; with the public key kept,
//! a stanza costs one scalar multiplication.

use age_core::format::Stanza;
use age_core::primitives::{bech32_decode, bech32_encode};
use bech32::Hrp;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::stanza::{Answer, argument, has_wrapped_key, unwrap_file_key};

pub const STANZA_TYPE: &str = "X25519";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";
const SECRET_HRP: Hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-");
const RECIPIENT_HRP: Hrp = Hrp::parse_unchecked("age");

/// A private X25519 key and its public half.
pub struct X25519 {
    secret: StaticSecret,
    public: PublicKey,
    recipient: String,
}

impl X25519 {
    pub fn new(secret: StaticSecret, public: PublicKey) -> Self {
        let recipient = bech32_encode(RECIPIENT_HRP, public.as_bytes());
        Self { secret, public, recipient }
    }

    /// Reads `AGE-SECRET-KEY-1…`; `None` when it is not a well-formed one.
    pub fn parse(text: &str) -> Option<Self> {
        let secret = StaticSecret::from(*secret_bytes::<32>(text, SECRET_HRP)?);
        let public = PublicKey::from(&secret);
        Some(Self::new(secret, public))
    }

    /// `age1…`, to which files for this key are encrypted.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }

    pub fn open(&self, stanza: &Stanza) -> Answer {
        if stanza.tag != STANZA_TYPE {
            return Answer::NotForMe;
        }
        let [share] = stanza.args.as_slice() else {
            return Answer::Malformed("its X25519 stanza has not exactly one argument");
        };
        let Some(share) = argument::<32>(share) else {
            return Answer::Malformed("the key share of its X25519 stanza is malformed");
        };
        if !has_wrapped_key(stanza) {
            return Answer::Malformed("the body of its X25519 stanza has a wrong length");
        }
        let shared = self.secret.diffie_hellman(&PublicKey::from(share));
        if !shared.was_contributory() {
            return Answer::Malformed("the key share of its X25519 stanza has low order");
        }
        let salt = [share, self.public.to_bytes()];
        match unwrap_file_key(&shared, salt.as_flattened(), LABEL, &stanza.body) {
            Some(key) => Answer::Opened(key),
            None => Answer::NotForMe,
        }
    }
}

/// The `N` bytes of a Bech32 text with the given upper-case prefix.
pub fn secret_bytes<const N: usize>(text: &str, prefix: Hrp) -> Option<Zeroizing<[u8; N]>> {
    let right_prefix = |hrp| if hrp == prefix { Ok(()) } else { Err(()) };
    bech32_decode(
        text,
        |_| (),
        right_prefix,
        |_, mut bytes| {
            let mut secret = Zeroizing::new([0; N]);
            for byte in secret.iter_mut() {
                *byte = bytes.next().ok_or(())?;
            }
            if bytes.next().is_none() { Ok(secret) } else { Err(()) }
        },
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "AGE-SECRET-KEY-1D88T3T22862F5SWX0V7M7CG9Q5T9FA90CCN9NVLJRCQATZ3WGL3QMR7CN4";
    const RECIPIENT: &str = "age1a8pk4akrdamj7nvqy3zywgtny8dxz7t5xzu7u8v9mhrayp9freqsqatyrs";

    #[test]
    fn the_recipient_of_a_secret_key_is_the_one_that_age_prints() {
        assert_eq!(X25519::parse(SECRET).unwrap().recipient(), RECIPIENT);
    }

    #[test]
    fn damaged_secret_keys_are_refused() {
        let changed = SECRET.replace("T3T", "T3S");
        let mixed_case = SECRET.replace("MR7CN4", "mr7cn4");
        let short = SECRET.strip_suffix('4').unwrap();
        for text in [&changed, &mixed_case, short, RECIPIENT, "AGE-SECRET-KEY-1", ""] {
            assert!(X25519::parse(text).is_none());
        }
        // The right prefix and checksum around one byte too few and too many.
        for len in [31, 33] {
            let text = bech32_encode(SECRET_HRP, &vec![7; len]).to_uppercase();
            assert!(X25519::parse(&text).is_none(), "{len} bytes");
        }
    }

    #[test]
    fn a_low_order_share_is_refused() {
        let stanza = Stanza { tag: STANZA_TYPE.into(), args: vec!["A".repeat(43)], body: vec![0; 32] };
        let Answer::Malformed(reason) = X25519::parse(SECRET).unwrap().open(&stanza) else { panic!() };
        assert_eq!(reason, "the key share of its X25519 stanza has low order");
    }
}
