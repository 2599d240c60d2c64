//! Opens one encrypted value, `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`, where it lies.
//!
//! The text is decoded and decrypted in its own buffer, so that a large value needs no second one. No error here
//! holds any of the text: what is not in the format may be a plaintext secret.

use std::ops::Range;

use aes_gcm::aead::consts::{U12, U16, U32};
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadInPlace as _, AesGcm, KeyInit as _};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::{memchr, memmem, memrchr};

use super::data_key::DataKey;

/// Go's `base64.StdEncoding`: padding required, non-zero trailing bits tolerated.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

const TAG_BYTES: usize = 16;

/// What the plaintext stands for. The type is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Str,
    Int,
    Float,
    Bool,
    Time,
    Comment,
}

/// Why a value does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("it is not encrypted (no 'ENC[AES256_GCM,…]')")]
    NotEncrypted,
    #[error("its {0} is not base64")]
    Base64(&'static str),
    #[error("its nonce has {0} bytes; sops writes 32")]
    NonceLength(usize),
    #[error("it is too short to hold an authentication tag")]
    Truncated,
    #[error("authentication failed: the value was changed, or moved here from another key or file")]
    Authentication,
    #[error("its type is none that sops knows")]
    UnknownType,
    #[error("its plaintext is not {0}")]
    Plaintext(&'static str),
    #[error("it is a comment in the place of a value")]
    CommentAsValue,
    #[error("it is {0}, not encrypted")]
    NotString(&'static str),
    #[error("it is an integer above 9223372036854775807, which sops cannot read: put it in quotes")]
    Unsigned,
}

/// The values' cipher, keyed once for a document.
pub struct Cipher {
    standard: AesGcm<Aes256, U32>,
    key: DataKey,
}

impl Cipher {
    #[must_use]
    pub fn new(key: DataKey) -> Self {
        Self { standard: AesGcm::new(GenericArray::from_slice(key.expose())), key }
    }

    /// Decrypts `text` in place: returns where in `text` the plaintext now is, and its type. On an error the
    /// contents of `text` are unspecified (never plaintext).
    ///
    /// `aad` is the path of the value, see sops-format 4.3.
    ///
    /// # Errors
    /// When the text is not in the format, or authentication fails.
    pub fn open_in_place(&self, text: &mut [u8], aad: &[u8]) -> Result<(Range<usize>, Type), ValueError> {
        let layout = Layout::of(text).ok_or(ValueError::NotEncrypted)?;
        let kind = match text.get(layout.kind) {
            Some(b"str" | b"bytes") => Type::Str,
            Some(b"int") => Type::Int,
            Some(b"float") => Type::Float,
            Some(b"bool") => Type::Bool,
            Some(b"time") => Type::Time,
            Some(b"comment") => Type::Comment,
            _ => return Err(ValueError::UnknownType),
        };
        let nonce = decode_copy(text, layout.iv).ok_or(ValueError::Base64("iv"))?;
        let tag = decode_copy(text, layout.tag).ok_or(ValueError::Base64("tag"))?;
        let start = layout.data.start;
        let data = text.get_mut(layout.data).and_then(decode_in_place).ok_or(ValueError::Base64("data"))?;
        // sops appends the tag to the data and lets GCM take the last 16 bytes of both. The base64 text was longer
        // than what it decoded to plus a tag, so there is room behind the data.
        let sealed = start..start + data + tag.len();
        let buffer = text.get_mut(sealed).ok_or(ValueError::Truncated)?;
        let (_, tail) = buffer.split_at_mut_checked(data).ok_or(ValueError::Truncated)?;
        tail.copy_from_slice(&tag);
        let length = buffer.len().checked_sub(TAG_BYTES).ok_or(ValueError::Truncated)?;
        let (body, tag) = buffer.split_at_mut_checked(length).ok_or(ValueError::Truncated)?;
        let tag = GenericArray::from_slice(tag);
        let key = GenericArray::from_slice(self.key.expose());
        match nonce.len() {
            32 => self.standard.decrypt_in_place_detached(GenericArray::from_slice(&nonce), aad, body, tag),
            // Only other programs write these two lengths.
            12 => AesGcm::<Aes256, U12>::new(key).decrypt_in_place_detached(
                GenericArray::from_slice(&nonce),
                aad,
                body,
                tag,
            ),
            16 => AesGcm::<Aes256, U16>::new(key).decrypt_in_place_detached(
                GenericArray::from_slice(&nonce),
                aad,
                body,
                tag,
            ),
            other => return Err(ValueError::NonceLength(other)),
        }
        .map_err(|_| ValueError::Authentication)?;
        Ok((start..start + length, kind))
    }
}

/// Where the four fields lie in the text of a value.
struct Layout {
    data: Range<usize>,
    iv: Range<usize>,
    tag: Range<usize>,
    kind: Range<usize>,
}

impl Layout {
    /// sops matches `^ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\]` with greedy groups and does not
    /// anchor the end: what follows the last bracket of the line, and everything after a line feed, is ignored.
    fn of(text: &[u8]) -> Option<Self> {
        const HEAD: &[u8] = b"ENC[AES256_GCM,data:";
        if !text.starts_with(HEAD) {
            return None;
        }
        let line = text.get(..memchr(b'\n', text).unwrap_or(text.len()))?;
        let end = memrchr(b']', line)?;
        let field = |label: &[u8], end: usize| {
            let at = memmem::rfind(line.get(..end)?, label)?;
            (at + label.len() < end).then_some((at, at + label.len()..end))
        };
        let (at, kind) = field(b",type:", end)?;
        let (at, tag) = field(b",tag:", at)?;
        let (at, iv) = field(b",iv:", at)?;
        (HEAD.len() < at).then_some(Self { data: HEAD.len()..at, iv, tag, kind })
    }
}

/// Decodes a short field (nonce, tag) into a buffer of its own.
fn decode_copy(text: &[u8], range: Range<usize>) -> Option<Vec<u8>> {
    let mut field = text.get(range)?.to_vec();
    let length = decode_in_place(&mut field)?;
    field.truncate(length);
    Some(field)
}

/// Decodes base64 onto its own beginning and returns the length. Line ends inside are skipped, as Go does.
fn decode_in_place(text: &mut [u8]) -> Option<usize> {
    const CHUNK: usize = 4096;
    let mut length = text.len();
    if memchr(b'\r', text).is_some() {
        length = 0;
        for from in 0..text.len() {
            let byte = *text.get(from)?;
            if byte != b'\r' {
                *text.get_mut(length)? = byte;
                length += 1;
            }
        }
    }
    let mut decoded = [0; CHUNK / 4 * 3];
    let (mut from, mut to) = (0, 0);
    while from < length {
        let end = length.min(from + CHUNK);
        let count = BASE64.decode_slice(text.get(from..end)?, &mut decoded).ok()?;
        if end < length && count != decoded.len() {
            // Padding before the end.
            return None;
        }
        text.get_mut(to..to + count)?.copy_from_slice(decoded.get(..count)?);
        (from, to) = (end, to + count);
    }
    Some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "ENC[AES256_GCM,data:Y6SCPNJ5t0+zNA==,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:XVLf3RyfZKjFEiYKIbZ/TA==,type:str]";

    fn counting_key() -> Cipher {
        Cipher::new(DataKey::new((0..32).collect::<Vec<u8>>().as_slice()).unwrap())
    }

    fn open(cipher: &Cipher, text: &str, aad: &str) -> Result<(Vec<u8>, Type), ValueError> {
        let mut buffer = text.as_bytes().to_vec();
        cipher.open_in_place(&mut buffer, aad.as_bytes()).map(|(range, kind)| (buffer[range].to_vec(), kind))
    }

    #[test]
    fn worked_examples_open() {
        assert_eq!(open(&counting_key(), EXAMPLE, "test_key:"), Ok((b"test_value".to_vec(), Type::Str)));
        // The vector of sops' own unit test.
        let cipher = Cipher::new(DataKey::new(&[b'f'; 32]).unwrap());
        let text = "ENC[AES256_GCM,data:oYyi,iv:MyIDYbT718JRr11QtBkcj3Dwm4k1aCGZBVeZf0EyV8o=,tag:t5z2Z023Up0kxwCgw1gNxg==,type:str]";
        assert_eq!(open(&cipher, text, "bar:"), Ok((b"foo".to_vec(), Type::Str)));
    }

    #[test]
    fn text_after_the_bracket_and_after_a_line_feed_is_ignored() {
        for tail in [" junk", "\n] more", "\nENC[", "\r"] {
            assert!(open(&counting_key(), &format!("{EXAMPLE}{tail}"), "test_key:").is_ok(), "{tail:?}");
        }
        assert_eq!(
            open(&counting_key(), &format!("{EXAMPLE} foo]"), "test_key:"),
            Err(ValueError::UnknownType)
        );
    }

    #[test]
    fn carriage_returns_inside_base64_are_ignored() {
        let text = EXAMPLE.replace("Y6SC", "Y6\r\rSC").replace("XVLf", "XV\rLf");
        assert!(open(&counting_key(), &text, "test_key:").is_ok());
    }

    #[test]
    fn what_is_not_in_the_format_is_refused() {
        let cipher = counting_key();
        for text in [
            "",
            "hello",
            &format!(" {EXAMPLE}"),
            &EXAMPLE.replace("256", "128"),
            "ENC[AES256_GCM,data:,iv:AA==,tag:AA==,type:str]",
            &EXAMPLE.replace("type:str", "type:"),
            "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==]",
            "ENC[AES256_GCM,data:AA==,tag:AA==,iv:AA==,type:str]",
        ] {
            assert_eq!(open(&cipher, text, ":"), Err(ValueError::NotEncrypted), "{text}");
        }
        assert_eq!(open(&cipher, &EXAMPLE.replace("NA==", "NA"), ":"), Err(ValueError::Base64("data")));
        assert_eq!(open(&cipher, &EXAMPLE.replace("NA==", "N*=="), ":"), Err(ValueError::Base64("data")));
        assert_eq!(open(&cipher, &EXAMPLE.replace("Pj8=", "Pj8"), ":"), Err(ValueError::Base64("iv")));
        assert_eq!(open(&cipher, &EXAMPLE.replace("TA==", "T==="), ":"), Err(ValueError::Base64("tag")));
        assert_eq!(open(&cipher, EXAMPLE, "other:"), Err(ValueError::Authentication));
        assert_eq!(
            open(&cipher, &EXAMPLE.replace("type:str", "type:foo"), "test_key:"),
            Err(ValueError::UnknownType)
        );
        let short =
            "ENC[AES256_GCM,data:AAAA,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:AAAA,type:str]";
        assert_eq!(open(&cipher, short, ":"), Err(ValueError::Truncated));
    }

    #[test]
    fn every_cut_of_a_value_is_refused_without_a_panic() {
        for end in 0..EXAMPLE.len() {
            assert!(open(&counting_key(), &EXAMPLE[..end], "test_key:").is_err());
        }
    }

    #[test]
    fn base64_longer_than_a_chunk_decodes_in_place_and_padding_only_at_the_end() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|i| (i % 251) as u8).collect();
        let mut text = BASE64.encode(&bytes).into_bytes();
        let length = decode_in_place(&mut text).unwrap();
        assert_eq!(&text[..length], bytes);
        let mut early = BASE64.encode(&bytes).into_bytes();
        early[4094..4096].copy_from_slice(b"==");
        assert!(decode_in_place(&mut early).is_none());
    }
}
