//! An Ed25519 host key as age identities: the derived X25519 one (what `ssh-to-age` makes) and the native one, for
//! files encrypted to the `ssh-ed25519 AAAA…` line itself.
//!
//! Both use the same scalar and the same public key, so one multiplication serves both.

use age_core::format::Stanza;
use age_core::primitives::hkdf;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use curve25519_dalek::EdwardsPoint;
use sha2::{Digest as _, Sha256, Sha512};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

use super::stanza::{Answer, argument, has_wrapped_key, unwrap_file_key};
use super::x25519::X25519;

pub const STANZA_TYPE: &str = "ssh-ed25519";
const LABEL: &[u8] = b"age-encryption.org/v1/ssh-ed25519";

/// An Ed25519 key that opens `ssh-ed25519` stanzas.
pub struct SshEd25519 {
    secret: StaticSecret,
    public: PublicKey,
    /// Binds the shared secret to the ssh key: without it the stanza would open with the derived key alone.
    tweak: StaticSecret,
    tag: String,
    recipient: String,
}

/// Both identities of the Ed25519 key that has this seed. The public key is computed, not taken from the key file.
pub fn identities(seed: &[u8; 32]) -> (X25519, SshEd25519) {
    let mut hash = Sha512::digest(seed);
    let mut scalar = Zeroizing::new([0; 32]);
    for (to, from) in scalar.iter_mut().zip(&hash) {
        *to = *from;
    }
    hash.as_mut_slice().zeroize();

    // x25519-dalek and the signature scheme clamp this scalar in the same way.
    let point = EdwardsPoint::mul_base_clamped(*scalar);
    let public = PublicKey::from(point.to_montgomery().to_bytes());
    let secret = StaticSecret::from(*scalar);

    let wire = wire_key([STANZA_TYPE.as_bytes(), point.compress().as_bytes()]);
    let native = SshEd25519 {
        secret: secret.clone(),
        public,
        tweak: StaticSecret::from(hkdf(&wire, LABEL, &[])),
        tag: tag(&wire),
        recipient: public_line(STANZA_TYPE, &wire),
    };
    (X25519::new(secret, public), native)
}

impl SshEd25519 {
    /// `ssh-ed25519 AAAA…`, without a comment.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }

    pub fn open(&self, stanza: &Stanza) -> Answer {
        if stanza.tag != STANZA_TYPE {
            return Answer::NotForMe;
        }
        let [tag, share] = stanza.args.as_slice() else {
            return Answer::Malformed("its ssh-ed25519 stanza has not exactly two arguments");
        };
        if argument::<4>(tag).is_none() {
            return Answer::Malformed("the key tag of its ssh-ed25519 stanza is malformed");
        }
        let Some(share) = argument::<32>(share) else {
            return Answer::Malformed("the key share of its ssh-ed25519 stanza is malformed");
        };
        if !has_wrapped_key(stanza) {
            return Answer::Malformed("the body of its ssh-ed25519 stanza has a wrong length");
        }
        if *tag != self.tag {
            return Answer::NotForMe;
        }
        let inner = self.secret.diffie_hellman(&PublicKey::from(share));
        let shared = self.tweak.diffie_hellman(&PublicKey::from(*inner.as_bytes()));
        if !shared.was_contributory() {
            return Answer::Malformed("the key share of its ssh-ed25519 stanza has low order");
        }
        let salt = [share, self.public.to_bytes()];
        match unwrap_file_key(&shared, salt.as_flattened(), LABEL, &stanza.body) {
            Some(key) => Answer::Opened(key),
            None => Answer::DoesNotOpen,
        }
    }
}

/// A public key as ssh sends it: every field after its length.
pub fn wire_key<const N: usize>(fields: [&[u8]; N]) -> Vec<u8> {
    let mut wire = Vec::new();
    for field in fields {
        // A key file is at most a mebibyte.
        let len = u32::try_from(field.len()).unwrap_or(u32::MAX);
        wire.extend(len.to_be_bytes());
        wire.extend(field);
    }
    wire
}

/// The four bytes by which a stanza names a key, as they stand in it.
pub fn tag(wire: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(wire).into();
    BASE64_STANDARD_NO_PAD.encode(hash.first_chunk::<4>().unwrap_or(&[0; 4]))
}

/// The key as in an `authorized_keys` file, without a comment.
pub fn public_line(algorithm: &str, wire: &[u8]) -> String {
    format!("{algorithm} {}", BASE64_STANDARD.encode(wire))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed and recipient of the key that sops-nix and ssh-to-age use as their example.
    #[test]
    fn the_derived_recipient_is_the_one_that_ssh_to_age_prints() {
        let seed = [
            0xb9, 0x78, 0xdb, 0x35, 0xef, 0xa3, 0x8e, 0xec, 0x83, 0xbc, 0x6a, 0x9d, 0xf7, 0x4d, 0x55, 0xe5,
            0x3b, 0x18, 0x61, 0x41, 0x87, 0x18, 0xb6, 0xfd, 0xd5, 0x5b, 0xef, 0xf9, 0x16, 0xdf, 0x14, 0xa2,
        ];
        let (derived, _) = identities(&seed);
        assert_eq!(derived.recipient(), "age1a8pk4akrdamj7nvqy3zywgtny8dxz7t5xzu7u8v9mhrayp9freqsqatyrs");
    }
}
