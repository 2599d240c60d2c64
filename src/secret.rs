//! Owns bytes that must not leak: a secret's value, a data key, a private key, a decrypted document.
//!
//! There is no `Debug`, `Display` or `Clone`, and the memory is wiped when the value goes; [`SecretBytes::expose`]
//! and [`SecretBytes::expose_mut`] are the only ways in, so every place that reads a secret can be found by name.

use zeroize::Zeroize;

/// A buffer that is wiped when it is dropped.
///
/// Growing a buffer would leave the old, unwiped copy on the heap, so there is no way to grow one: make it with
/// the bytes already in place.
#[derive(Default)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes over `bytes`; whatever the vector's spare capacity holds is wiped with it.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. Never log, format or hash what this returns.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be changed in place.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Length in bytes. A length is not a secret: it shows in the size of the installed file.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A value that is either a part of a decrypted document, where it lies, or a buffer of its own.
pub enum Plaintext<'a> {
    Borrowed(&'a [u8]),
    Owned(SecretBytes),
}

impl Plaintext<'_> {
    /// The bytes themselves. Never log, format or hash what this returns.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes.expose(),
        }
    }
}
