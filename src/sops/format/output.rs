//! The buffer that plaintext is printed into. A growing vector leaves its old, unwiped copy on the heap; this one
//! wipes what it leaves.

use std::fmt;

use zeroize::Zeroize;

use crate::secret::SecretBytes;

/// Bytes that are appended to and then taken as a [`SecretBytes`].
pub struct Output(Vec<u8>);

impl Output {
    /// Space for `capacity` bytes. A good guess spares copies; a bad one is not an error.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            let mut grown = Vec::with_capacity(needed.max(self.0.capacity().saturating_mul(2)));
            grown.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = grown;
        }
        self.0.extend_from_slice(bytes);
    }

    /// The last byte written, if any.
    #[must_use]
    pub fn last(&self) -> Option<u8> {
        self.0.last().copied()
    }

    #[must_use]
    pub fn into_secret(mut self) -> SecretBytes {
        SecretBytes::new(std::mem::take(&mut self.0))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// So that numbers are printed without a string of their own. Writing never fails.
impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn growth_keeps_every_byte() {
        let mut output = Output::with_capacity(1);
        assert_eq!(output.last(), None);
        for _ in 0..1000 {
            output.push(b"abc");
        }
        write!(output, "{}", -12).unwrap();
        assert_eq!(output.last(), Some(b'2'));
        let bytes = output.into_secret();
        assert_eq!(bytes.len(), 3003);
        assert!(bytes.expose().ends_with(b"abcabc-12"));
    }
}
