//! An RSA host key as an age identity, for files encrypted to the `ssh-rsa AAAA…` line.
//!
//! Checking and preparing an RSA key takes milliseconds and hardly any machine needs it, so that happens when the
//! first stanza names the key.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use age_core::format::Stanza;
use rsa::rand_core::OsRng;
use rsa::{BigUint, Oaep, RsaPrivateKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::ssh_ed25519::{public_line, tag, wire_key};
use super::ssh_key::RsaNumbers;
use super::stanza::{Answer, argument, file_key};

pub const STANZA_TYPE: &str = "ssh-rsa";
const LABEL: &str = "age-encryption.org/v1/ssh-rsa";

/// From 1024 to 16384 bits, in bytes, with room for a leading zero. age encrypts to 2048 and more.
const MODULUS_LEN: RangeInclusive<usize> = 128..=2049;

/// An RSA key that opens `ssh-rsa` stanzas.
pub struct SshRsa {
    numbers: RsaNumbers,
    /// `None` inside when the numbers do not make a key.
    key: OnceLock<Option<RsaPrivateKey>>,
    tag: String,
    recipient: String,
}

impl SshRsa {
    pub fn new(numbers: RsaNumbers) -> Self {
        let wire = wire_key([
            STANZA_TYPE.as_bytes(),
            &positive(&numbers.public_exponent),
            &positive(&numbers.modulus),
        ]);
        Self { key: OnceLock::new(), tag: tag(&wire), recipient: public_line(STANZA_TYPE, &wire), numbers }
    }

    /// `ssh-rsa AAAA…`, without a comment.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }

    pub fn open(&self, stanza: &Stanza) -> Answer {
        if stanza.tag != STANZA_TYPE {
            return Answer::NotForMe;
        }
        let [tag] = stanza.args.as_slice() else {
            return Answer::Malformed("its ssh-rsa stanza has not exactly one argument");
        };
        if argument::<4>(tag).is_none() {
            return Answer::Malformed("the key tag of its ssh-rsa stanza is malformed");
        }
        if *tag != self.tag {
            return Answer::NotForMe;
        }
        let Some(key) = self.key.get_or_init(|| self.numbers.checked()) else {
            return Answer::DoesNotOpen;
        };
        let padding = Oaep::new_with_label::<Sha256, _>(LABEL);
        let opened = key.decrypt_blinded(&mut OsRng, padding, &stanza.body).map(Zeroizing::new);
        match opened.ok().and_then(|bytes| file_key(&bytes)) {
            Some(key) => Answer::Opened(key),
            None => Answer::DoesNotOpen,
        }
    }
}

impl RsaNumbers {
    /// The key that the numbers make, if they do.
    fn checked(&self) -> Option<RsaPrivateKey> {
        if !MODULUS_LEN.contains(&self.modulus.len()) {
            return None;
        }
        let primes = [&self.prime1, &self.prime2];
        RsaPrivateKey::from_components(
            BigUint::from_bytes_be(&self.modulus),
            BigUint::from_bytes_be(&self.public_exponent),
            BigUint::from_bytes_be(self.private_exponent.expose()),
            primes.map(|prime| BigUint::from_bytes_be(prime.expose())).into(),
        )
        .ok()
    }
}

/// A number as ssh writes positive ones: no leading zeros, but one where the top bit would make it negative.
fn positive(number: &[u8]) -> Vec<u8> {
    let digits = number.iter().copied().skip_while(|byte| *byte == 0);
    let negative = digits.clone().next().is_some_and(|byte| byte >= 0x80);
    negative.then_some(0).into_iter().chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretBytes;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_written_as_ssh_writes_them() {
        assert_eq!(positive(&[0, 0, 0x7f, 0]), [0x7f, 0]);
        assert_eq!(positive(&[0x80]), [0, 0x80]);
        assert_eq!(positive(&[0]), [0_u8; 0]);
    }

    proptest! {
        #[test]
        fn numbers_that_make_no_key_open_nothing(
            modulus in vec(any::<u8>(), 0..200),
            small in vec(vec(any::<u8>(), 0..4), 4),
        ) {
            let secret = |index: usize| SecretBytes::from(small[index].as_slice());
            let key = SshRsa::new(RsaNumbers {
                modulus,
                public_exponent: small[0].clone(),
                private_exponent: secret(1),
                prime1: secret(2),
                prime2: secret(3),
            });
            let stanza = Stanza { tag: STANZA_TYPE.into(), args: vec![key.tag.clone()], body: vec![1; 128] };
            prop_assert!(matches!(key.open(&stanza), Answer::DoesNotOpen));
        }
    }
}
