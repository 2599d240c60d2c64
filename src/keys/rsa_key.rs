//! An RSA host key, in whatever role: for `ssh-rsa` stanzas of age files, and as an OpenPGP key.
//!
//! Checking and preparing an RSA key takes milliseconds and hardly any machine needs it, so that happens when the
//! first stanza or message names the key, once for both roles.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use rsa::rand_core::OsRng;
use rsa::traits::PaddingScheme;
use rsa::{BigUint, RsaPrivateKey};
use zeroize::Zeroizing;

use super::ssh_key::RsaNumbers;

/// From 1024 to 16384 bits, in bytes, with room for a leading zero. age encrypts to 2048 and more.
const MODULUS_LEN: RangeInclusive<usize> = 128..=2049;

pub struct RsaKey {
    pub numbers: RsaNumbers,
    /// `None` inside when the numbers do not make a key.
    checked: OnceLock<Option<RsaPrivateKey>>,
}

impl RsaKey {
    pub fn new(numbers: RsaNumbers) -> Self {
        Self { numbers, checked: OnceLock::new() }
    }

    /// What `ciphertext` was made from, if it was made for this key.
    pub fn decrypt(&self, padding: impl PaddingScheme, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = self.checked.get_or_init(|| self.numbers.checked()).as_ref()?;
        key.decrypt_blinded(&mut OsRng, padding, ciphertext).ok().map(Zeroizing::new)
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
