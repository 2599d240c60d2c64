//! What every age identity does with a recipient stanza, and the words for what can be wrong with one.

use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, hkdf};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use x25519_dalek::SharedSecret;
use zeroize::{Zeroize, Zeroizing};

/// Length of the body of every stanza that wraps a file key with ChaCha20-Poly1305.
pub const WRAPPED_LEN: usize = FILE_KEY_BYTES + 16;

/// What an identity says to one stanza of an age header.
#[must_use]
pub enum Answer {
    /// It is of another type, or for another identity.
    NotForMe,
    /// The key of the file.
    Opened(FileKey),
    /// It names this identity, and yet does not open. Another one may.
    DoesNotOpen,
    /// It is not what its type prescribes. The age specification wants the whole file refused then.
    Malformed(&'static str),
}

/// Opens a file key that is wrapped under `shared`, the way all X25519 based stanzas do.
pub fn unwrap_file_key(shared: &SharedSecret, salt: &[u8], label: &[u8], body: &[u8]) -> Option<FileKey> {
    let key = Zeroizing::new(hkdf(salt, label, shared.as_bytes()));
    let opened = Zeroizing::new(aead_decrypt(&key, FILE_KEY_BYTES, body).ok()?);
    file_key(&opened)
}

/// A file key made of exactly 16 bytes.
pub fn file_key(bytes: &[u8]) -> Option<FileKey> {
    let mut key = <[u8; FILE_KEY_BYTES]>::try_from(bytes).ok()?;
    let boxed = FileKey::init_with_mut(|inner| inner.copy_from_slice(&key));
    key.zeroize();
    Some(boxed)
}

/// An argument that holds exactly `N` bytes in canonical base64 without padding.
pub fn argument<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64_STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Whether the body has the length of a wrapped file key. Other lengths are refused before anything is decrypted,
/// as the specification asks (they would allow files that open under several keys).
pub fn has_wrapped_key(stanza: &Stanza) -> bool {
    stanza.body.len() == WRAPPED_LEN
}
