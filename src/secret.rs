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

    /// Cuts and wipes what lies behind the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        if let Some(tail) = self.0.get_mut(length..) {
            tail.zeroize();
        }
        self.0.truncate(length);
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
        if !cfg!(feature = "unwiped") {
            self.0.zeroize();
        }
    }
}

/// Wipes what functions that have returned left on the stack of this thread: every value that is moved leaves a copy there.
///
/// Whoever calls it keeps what is in their own variables.
#[inline(never)]
#[allow(clippy::large_stack_arrays, reason = "it is there to cover the stack")]
pub fn wipe_stack() {
    /// Deeper than any call here that has to do with secrets.
    const DEPTH: usize = 256 << 10;
    let mut left = [0_u8; DEPTH];
    if !cfg!(feature = "unwiped") {
        left.zeroize();
    }
}

/// `bytes` without one line end, LF or CRLF, at their end.
#[must_use]
pub fn without_last_newline(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\n").map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line))
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

    /// Without one line end, LF or CRLF, at its end.
    #[must_use]
    pub fn without_last_newline(self) -> Self {
        let kept = without_last_newline(self.expose()).len();
        match self {
            Self::Borrowed(bytes) => Self::Borrowed(bytes.get(..kept).unwrap_or(bytes)),
            Self::Owned(mut bytes) => {
                bytes.truncate(kept);
                Self::Owned(bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_trimmed() {
        for (text, trimmed) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
            ("a", "a"),
            ("\n", ""),
            ("", ""),
            ("\na", "\na"),
        ] {
            let borrowed = Plaintext::Borrowed(text.as_bytes()).without_last_newline();
            let owned = Plaintext::Owned(SecretBytes::from(text.as_bytes())).without_last_newline();
            assert_eq!(borrowed.expose(), trimmed.as_bytes());
            assert_eq!(owned.expose(), trimmed.as_bytes());
        }
    }
}
