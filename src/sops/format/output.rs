//! A buffer for printed plaintext that leaves no copy behind when it grows.

use zeroize::Zeroize as _;

use crate::secret::SecretBytes;

/// Grows by moving to a larger allocation and wiping the old one, which `Vec` would hand back as it was.
pub struct Output(Vec<u8>);

impl Output {
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(self.0.capacity() * 2));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
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
