//! The text of a scalar in dotenv and INI files, which know nothing but text.

use super::number;
use crate::secret::SecretBytes;
use crate::sops::tree::Value;

/// A scalar's text: its own bytes, or made from it.
pub(super) enum ScalarText<'a> {
    Verbatim(&'a [u8]),
    Made(SecretBytes),
}

impl ScalarText<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Verbatim(bytes) => bytes,
            Self::Made(bytes) => bytes.expose(),
        }
    }
}

/// The text of `value`, or `None` for what has no text of one line: null, lists and mappings.
///
/// Everything in these files is a string unless it was encrypted with another type.
pub(super) fn text<'a>(value: &'a Value, source: &'a [u8]) -> Option<ScalarText<'a>> {
    let made = |text: String| Some(ScalarText::Made(SecretBytes::new(text.into_bytes())));
    match value {
        Value::String(text) => Some(ScalarText::Verbatim(text.bytes(source))),
        Value::Bool(true) => Some(ScalarText::Verbatim(b"true")),
        Value::Bool(false) => Some(ScalarText::Verbatim(b"false")),
        Value::Int(int) => made(int.to_string()),
        Value::Unsigned(int) => made(int.to_string()),
        Value::Float(float) => made(number::flat(*float)),
        Value::Time(time) => made(time.to_rfc3339()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::time::Time;
    use crate::sops::tree::{Map, Text};

    #[test]
    fn scalars_as_sops_prints_them() {
        let time = Time::parse_rfc3339("2001-02-03T04:05:06.5+02:00").unwrap();
        for (value, expected) in [
            (Value::String(Text::Span { start: 1, len: 2 }), "bc"),
            (Value::String(Text::owned(b"own".to_vec())), "own"),
            (Value::Bool(true), "true"),
            (Value::Bool(false), "false"),
            (Value::Int(-7), "-7"),
            (Value::Unsigned(u64::MAX), "18446744073709551615"),
            (Value::Float(1.0), "1.0"),
            (Value::Float(2e5), "200000.0"),
            (Value::Float(-2e10), "-2E+10"),
            (Value::Time(time), "2001-02-03T04:05:06+02:00"),
        ] {
            assert_eq!(text(&value, b"abcd").unwrap().bytes(), expected.as_bytes());
        }
        assert!(text(&Value::Null, b"").is_none());
        assert!(text(&Value::List(Vec::new()), b"").is_none());
        assert!(text(&Value::Map(Map::default()), b"").is_none());
    }
}
