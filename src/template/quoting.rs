//! How a secret is written into a template, so that the text around it can be read again whatever the secret holds.

use std::fmt::Write as _;

use crate::sops::format::output::Output;

/// What is done to the bytes of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// Nothing.
    Plain,
    /// A string of JSON with its quotes (RFC 8259, section 7), which YAML and TOML read as well.
    Json,
    /// A word of a POSIX shell in single quotes.
    Shell,
}

/// Why a secret cannot be quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    #[error("it is not UTF-8, so it cannot be a string of JSON")]
    NotUtf8,
    #[error("it has a NUL byte in it, so it cannot be a word of a shell")]
    Nul,
}

impl Quoting {
    /// Writes `bytes` to `out`.
    ///
    /// # Errors
    /// When they cannot be written so; a part of them may have been.
    pub fn write(self, bytes: &[u8], out: &mut Output) -> Result<(), QuoteError> {
        match self {
            Self::Plain => out.push(bytes),
            Self::Json => json(std::str::from_utf8(bytes).map_err(|_| QuoteError::NotUtf8)?, out),
            Self::Shell if memchr::memchr(0, bytes).is_some() => return Err(QuoteError::Nul),
            Self::Shell => shell(bytes, out),
        }
        Ok(())
    }
}

fn json(text: &str, out: &mut Output) {
    out.push(b"\"");
    let mut rest = text;
    while let Some((at, special)) = rest.char_indices().find(|(_, character)| must_be_escaped(*character)) {
        let (plain, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push(plain.as_bytes());
        match special {
            '"' => out.push(b"\\\""),
            '\\' => out.push(b"\\\\"),
            '\n' => out.push(b"\\n"),
            '\r' => out.push(b"\\r"),
            '\t' => out.push(b"\\t"),
            // All of them have four digits at most. Writing to a buffer does not fail.
            other => drop(write!(out, "\\u{:04x}", u32::from(other))),
        }
        rest = after.get(special.len_utf8()..).unwrap_or_default();
    }
    out.push(rest.as_bytes());
    out.push(b"\"");
}

/// What JSON wants escaped, and what YAML folds or refuses: its line breaks and control characters, the byte order mark.
fn must_be_escaped(character: char) -> bool {
    character.is_control() || matches!(character, '"' | '\\' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn shell(bytes: &[u8], out: &mut Output) {
    out.push(b"'");
    for (index, part) in bytes.split(|byte| *byte == b'\'').enumerate() {
        if index > 0 {
            out.push(br"'\''");
        }
        out.push(part);
    }
    out.push(b"'");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn quoted(quoting: Quoting, bytes: &[u8]) -> Result<Vec<u8>, QuoteError> {
        let mut out = Output::with_capacity(0);
        quoting.write(bytes, &mut out)?;
        Ok(out.into_secret().expose().to_vec())
    }

    #[test]
    fn what_cannot_be_quoted_is_refused() {
        assert_eq!(quoted(Quoting::Json, b"a\xff"), Err(QuoteError::NotUtf8));
        assert_eq!(quoted(Quoting::Shell, b"a\0"), Err(QuoteError::Nul));
        assert_eq!(quoted(Quoting::Plain, b"\xff\0").unwrap(), b"\xff\0");
        assert_eq!(quoted(Quoting::Json, b"").unwrap(), b"\"\"");
        assert_eq!(quoted(Quoting::Shell, b"").unwrap(), b"''");
    }

    proptest! {
        #[test]
        fn json_and_yaml_read_the_same_text_again(text in "[\\x00-\\x7f\u{80}-\u{ff}\u{2027}-\u{202a}\u{feff}🔑\"\\\\]{0,20}") {
            let quoted = quoted(Quoting::Json, text.as_bytes()).unwrap();
            prop_assert!(!quoted.contains(&b'\n'));
            prop_assert_eq!(&serde_json::from_slice::<String>(&quoted).unwrap(), &text);
            prop_assert_eq!(&serde_yaml::from_slice::<String>(&quoted).unwrap(), &text);
        }

        #[test]
        fn a_shell_reads_the_same_bytes_again(bytes in prop::collection::vec(
            prop_oneof![Just(b'\''), Just(b'\\'), Just(b'\n'), Just(b'$'), 1..=255_u8], 0..20)
        ) {
            let mut script = b"printf %s ".to_vec();
            script.extend(quoted(Quoting::Shell, &bytes).unwrap());
            let script = std::os::unix::ffi::OsStringExt::from_vec(script);
            let script: std::ffi::OsString = script;
            let read = Command::new("sh").arg("-c").arg(script).env("LC_ALL", "C").output().unwrap();
            prop_assert_eq!(read.stdout, bytes);
        }
    }
}
