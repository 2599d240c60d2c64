//! From bytes to text: byte-order marks, UTF-16, and the characters that YAML forbids.

use zeroize::Zeroize;

use super::super::SyntaxError;
use crate::secret::SecretBytes;
use crate::sops::tree::Place;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Turns UTF-16 with a byte-order mark into UTF-8 and wipes the original; anything else is returned as it came.
///
/// # Errors
/// When the file is UTF-16 and has an odd number of bytes or a surrogate without its partner.
pub fn transcode(source: SecretBytes) -> Result<SecretBytes, SyntaxError> {
    let read: fn([u8; 2]) -> u16 = match source.expose().get(..2) {
        Some([0xff, 0xfe]) => u16::from_le_bytes,
        Some([0xfe, 0xff]) => u16::from_be_bytes,
        _ => return Ok(source),
    };
    let (pairs, rest) = source.expose().as_chunks::<2>();
    let units = pairs.iter().skip(1).map(|pair| read(*pair));
    // A unit of two bytes makes at most three in UTF-8.
    let mut text = String::with_capacity(pairs.len().saturating_mul(3));
    let mut result = if rest.is_empty() { Ok(()) } else { Err("the last character is cut in half") };
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(character) => text.push(character),
            Err(_) => result = Err("half of a surrogate pair"),
        }
    }
    match result {
        Ok(()) => Ok(SecretBytes::new(text.into_bytes())),
        Err(problem) => {
            text.zeroize();
            Err(SyntaxError::new(Place { line: 1, column: 1 }, format!("invalid UTF-16: {problem}")))
        }
    }
}

/// The text without its byte-order mark, and the offset at which it begins.
pub fn text(source: &[u8]) -> Result<(&str, usize), SyntaxError> {
    let (body, start) = match source.strip_prefix(BOM) {
        Some(body) => (body, BOM.len()),
        None => (source, 0),
    };
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            let place = place_after(body.get(..error.valid_up_to()).unwrap_or_default());
            return Err(SyntaxError::new(place, "invalid UTF-8"));
        }
    };
    match forbidden(body) {
        None => Ok((text, start)),
        Some(at) => {
            let place = place_after(body.get(..at).unwrap_or_default());
            Err(SyntaxError::new(place, "control characters are not allowed"))
        }
    }
}

/// Where the first character stands that may not be in a YAML file.
fn forbidden(body: &[u8]) -> Option<usize> {
    let mut rest = body;
    loop {
        let skipped = rest.iter().position(|byte| !matches!(byte, b' '..=b'~' | b'\n'))?;
        rest = rest.get(skipped..)?;
        match rest {
            // U+FFFE, U+FFFF, and the C1 controls without U+0085.
            [0xef, 0xbf, 0xbe | 0xbf, ..] | [0xc2, ..=0x84 | 0x86..=0x9f, ..] => break,
            [b'\t' | b'\r' | 0x80.., ..] => {}
            _ => break,
        }
        rest = rest.get(1..)?;
    }
    Some(body.len() - rest.len())
}

/// The place that follows `before`.
fn place_after(before: &[u8]) -> Place {
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count() + 1;
    Place { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_becomes_utf8_and_other_files_stay() {
        for (bytes, expected) in [
            (&b"\xff\xfea\0:\0=\xd8\0\xde"[..], "a:\u{1f600}"),
            (b"\xfe\xff\0a\0\n", "a\n"),
            (b"\xff\xfe", ""),
            (b"plain", "plain"),
            (b"", ""),
        ] {
            assert_eq!(transcode(SecretBytes::from(bytes)).unwrap().expose(), expected.as_bytes());
        }
        for bytes in [&b"\xff\xfea"[..], b"\xff\xfe\0\xd8a\0"] {
            assert!(transcode(SecretBytes::from(bytes)).is_err());
        }
    }

    #[test]
    fn bad_characters_are_located() {
        for (bytes, line, column) in [
            (&b"a: \xff"[..], 1, 4),
            (b"a: 1\nb\xc3\xa9: \x01", 2, 5),
            (b"\x7f", 1, 1),
            (b"\xef\xbb\xbfa\0", 1, 2),
            ("x\n\u{80}".as_bytes(), 2, 1),
            ("\u{ffff}".as_bytes(), 1, 1),
        ] {
            assert_eq!(text(bytes).unwrap_err().place, Place { line, column });
        }
    }

    #[test]
    fn good_characters_pass() {
        let all: String = ('\u{a0}'..='\u{fffd}').chain('\u{10000}'..='\u{10ffff}').collect();
        for good in [&all, "\t\r\n ~\u{85}", ""] {
            assert_eq!(text(good.as_bytes()).unwrap(), (good, 0));
        }
        assert_eq!(text(b"\xef\xbb\xbfa").unwrap(), ("a", 3));
    }
}
