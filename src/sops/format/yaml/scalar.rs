//! What a scalar means: the rules by which go-yaml v3, and so sops, tells numbers, booleans, nulls and times from
//! strings. They are those of neither YAML 1.1 nor 1.2: `yes` is a string, `0777` octal, `1_000` a number and
//! `2001-01-01` a time.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use granit_parser::Tag;

use crate::sops::time::Time;
use crate::sops::tree::Value;

const CORE: &str = "tag:yaml.org,2002:";

/// What an explicit tag asks for.
pub enum Forced<'a> {
    /// No tag, or the non-specific `!`.
    No,
    String,
    Binary,
    /// One of the types that a plain scalar can have.
    Type(Cow<'a, str>),
}

/// Sorts a tag. A tag that go-yaml does not know makes a string.
pub fn forced(tag: Option<&Tag>) -> Forced<'_> {
    let Some(tag) = tag else { return Forced::No };
    if tag.parts() == ("", "!") {
        return Forced::No;
    }
    match tag.suffix_in_namespace(CORE) {
        Some(name) if name == "binary" => Forced::Binary,
        Some(name) if matches!(&*name, "null" | "bool" | "int" | "float" | "timestamp") => Forced::Type(name),
        _ => Forced::String,
    }
}

/// The value of a scalar whose tag names a type. `None`: its text is not of that type.
#[expect(clippy::cast_precision_loss, reason = "go-yaml rounds in the same way")]
pub fn convert(text: &str, tag: &str) -> Option<Value> {
    match (resolve_as(text, tag == "timestamp"), tag) {
        (Some(value @ Value::Null), "null")
        | (Some(value @ Value::Bool(_)), "bool")
        | (Some(value @ (Value::Int(_) | Value::Unsigned(_))), "int")
        | (Some(value @ Value::Float(_)), "float")
        | (Some(value @ Value::Time(_)), "timestamp") => Some(value),
        (Some(Value::Int(int)), "float") => Some(Value::Float(int as f64)),
        _ => None,
    }
}

/// The bytes of a `!!binary` scalar. `None`: it is not base64.
pub fn binary(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
            .with_decode_allow_trailing_bits(true),
    );
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    LENIENT.decode(digits).ok()
}

/// What a plain scalar without a tag is. `None`: a string (also `<<`, which sops treats as any other key).
pub fn resolve(text: &str) -> Option<Value> {
    // sops writes -0.0 as `-0` and would read it back as the integer 0, which breaks its own MAC.
    if text == "-0" { Some(Value::Float(-0.0)) } else { resolve_as(text, true) }
}

fn resolve_as(text: &str, times: bool) -> Option<Value> {
    match text.bytes().next() {
        None => Some(Value::Null),
        Some(b'0'..=b'9' | b'+' | b'-') => special_float(text).or_else(|| number_or_time(text, times)),
        Some(b'.') => special_float(text).or_else(|| float(text)),
        Some(b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F') => match text {
            "~" | "null" | "Null" | "NULL" => Some(Value::Null),
            "true" | "True" | "TRUE" => Some(Value::Bool(true)),
            "false" | "False" | "FALSE" => Some(Value::Bool(false)),
            _ => None,
        },
        Some(_) => None,
    }
}

fn special_float(text: &str) -> Option<Value> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Value::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Value::Float(f64::NEG_INFINITY)),
        ".nan" | ".NaN" | ".NAN" => Some(Value::Float(f64::NAN)),
        _ => None,
    }
}

fn number_or_time(text: &str, times: bool) -> Option<Value> {
    if let Some(time) = times.then(|| Time::parse_yaml(text)).flatten() {
        return Some(Value::Time(time));
    }
    let digits: Cow<'_, str> =
        if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) };
    integer(&digits).or_else(|| float(&digits)).or_else(|| signed_after_prefix(&digits))
}

/// An integer in Go's syntax: the prefix gives the base, and a leading `0` alone means octal.
fn integer(text: &str) -> Option<Value> {
    let (negative, signed, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, true, text.get(1..)?),
        b'+' => (false, true, text.get(1..)?),
        _ => (false, false, text),
    };
    let (base, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, unsigned.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, unsigned.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, unsigned.get(2..)?),
        [b'0', _, ..] => (8, unsigned.get(1..)?),
        _ => (10, unsigned),
    };
    // `from_str_radix` would take a second sign.
    if !digits.bytes().next()?.is_ascii_alphanumeric() {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Value::Int);
    }
    match i64::try_from(magnitude) {
        Ok(int) => Some(Value::Int(int)),
        Err(_) if signed => None,
        Err(_) => Some(Value::Unsigned(magnitude)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, when it is in the range of a double.
fn float(text: &str) -> Option<Value> {
    let well_formed =
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    // Within these characters, Rust's grammar is the same.
    let float = well_formed.then(|| text.parse::<f64>().ok()).flatten()?;
    float.is_finite().then_some(Value::Float(float))
}

/// go-yaml's own handling of `0b` and `0o` lets a sign follow the prefix.
fn signed_after_prefix(text: &str) -> Option<Value> {
    let (digits, base) = match text.strip_prefix("0b") {
        Some(digits) => (digits, 2),
        None => (text.strip_prefix("0o")?, 8),
    };
    i64::from_str_radix(digits, base).ok().map(Value::Int)
}

/// What ends a line in YAML 1.1, which go-yaml follows, but not in YAML 1.2, which the parser follows.
pub const OLD_BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Treats [`OLD_BREAKS`] in a scalar as line ends: the blanks around them go, or, in a block scalar whose content is
/// indented by `indent`, the indentation behind them.
pub fn fold_old_breaks(text: &str, indent: Option<usize>) -> String {
    let mut folded = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive(OLD_BREAKS).enumerate() {
        let (content, end) = match line.strip_suffix(OLD_BREAKS) {
            Some(content) => (content, line.get(content.len()..).unwrap_or_default()),
            None => (line, ""),
        };
        let is_next_line = "\u{85}" == end;
        if let Some(indent) = indent {
            let blanks = content.len() - content.trim_start_matches(' ').len();
            let kept = content.get(if index == 0 { 0 } else { blanks.min(indent) }..).unwrap_or_default();
            folded.push_str(kept);
            folded.push_str(if is_next_line { "\n" } else { end });
        } else {
            let content = if index == 0 { content } else { content.trim_start_matches([' ', '\t']) };
            let content = if end.is_empty() { content } else { content.trim_end_matches([' ', '\t']) };
            folded.push_str(content);
            folded.push_str(if is_next_line { " " } else { end });
        }
    }
    folded
}

/// Whether a plain scalar with this text would be read back as a string; by go-yaml, and also by YAML 1.1 parsers,
/// to which it gives base-60 numbers and `yes` the benefit of quotes.
pub fn is_string_when_plain(text: &str) -> bool {
    let old_boolean = matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    );
    !old_boolean && resolve(text).is_none() && !is_base_60(text)
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let Some((first, rest)) = unsigned.split_once(':') else { return false };
    let (rest, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let digits_or_lines = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let places = |field: &str| matches!(field.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    first.bytes().next().is_some_and(|b| b.is_ascii_digit())
        && digits_or_lines(first)
        && rest.split(':').all(places)
        && digits_or_lines(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Option<&Value>) -> String {
        match value {
            None => "string".to_owned(),
            Some(Value::Null) => "null".to_owned(),
            Some(Value::Bool(flag)) => format!("bool {flag}"),
            Some(Value::Int(int)) => format!("int {int}"),
            Some(Value::Unsigned(int)) => format!("unsigned {int}"),
            Some(Value::Float(float)) => format!("float {float}"),
            Some(Value::Time(time)) => format!("time {}", time.to_rfc3339_nano()),
            Some(_) => "other".to_owned(),
        }
    }

    #[test]
    fn plain_scalars_resolve_as_in_go_yaml() {
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("Null", "null"),
            ("nULL", "string"),
            ("True", "bool true"),
            ("FALSE", "bool false"),
            ("yes", "string"),
            ("on", "string"),
            ("n", "string"),
            ("<<", "string"),
            (".inf", "float inf"),
            ("-.INF", "float -inf"),
            (".NaN", "float NaN"),
            ("-.nan", "string"),
            (".5", "float 0.5"),
            (".5e3", "float 500"),
            (".", "string"),
            ("...", "string"),
            ("12", "int 12"),
            ("+12", "int 12"),
            ("-0", "float -0"),
            ("0", "int 0"),
            ("+0", "int 0"),
            ("1_000", "int 1000"),
            ("1__0_", "int 10"),
            ("0777", "int 511"),
            ("0o17", "int 15"),
            ("0O17", "int 15"),
            ("0x1F", "int 31"),
            ("-0b101", "int -5"),
            ("0b-1", "int -1"),
            ("08", "float 8"),
            ("0o8", "string"),
            ("0x", "string"),
            ("-", "string"),
            ("--1", "string"),
            ("+-1", "string"),
            ("9223372036854775807", "int 9223372036854775807"),
            ("9223372036854775808", "unsigned 9223372036854775808"),
            ("+9223372036854775808", "float 9223372036854776000"),
            ("-9223372036854775808", "int -9223372036854775808"),
            ("-9223372036854775809", "float -9223372036854776000"),
            ("18446744073709551616", "float 18446744073709552000"),
            ("685_230.15", "float 685230.15"),
            ("1.", "float 1"),
            ("1e3", "float 1000"),
            ("1e400", "string"),
            ("1e", "string"),
            ("0x1p4", "string"),
            ("2001-01-01", "time 2001-01-01T00:00:00Z"),
            ("2001-1-2 3:4:5.50", "time 2001-01-02T03:04:05.5Z"),
            ("2001-02-30", "string"),
            ("12:30:45", "string"),
            ("ENC[AES256_GCM,data:x]", "string"),
        ] {
            assert_eq!(shown(resolve(text).as_ref()), expected, "{text}");
        }
    }

    #[test]
    fn a_tag_forces_the_type_or_fails() {
        for (text, tag, expected) in [
            ("1", "float", "float 1"),
            ("1.5", "int", "string"),
            ("12", "int", "int 12"),
            ("true", "bool", "bool true"),
            ("yes", "bool", "string"),
            ("x", "null", "string"),
            ("", "null", "null"),
            ("2001-01-01", "timestamp", "time 2001-01-01T00:00:00Z"),
            ("2001-01-01", "int", "string"),
            ("x", "timestamp", "string"),
        ] {
            assert_eq!(shown(convert(text, tag).as_ref()), expected, "{text} {tag}");
        }
    }

    #[test]
    fn binary_takes_line_breaks_and_refuses_other_blanks() {
        assert_eq!(binary("aGk=").unwrap(), b"hi");
        assert_eq!(binary("aG\nk=\n").unwrap(), b"hi");
        assert_eq!(binary("/w==").unwrap(), b"\xff");
        assert!(binary("aG k=").is_none() && binary("aGk").is_none());
    }

    #[test]
    fn line_ends_of_yaml_1_1_are_folded() {
        assert_eq!(fold_old_breaks("x \u{2028}    y\u{85}z", None), "x\u{2028}y z");
        assert_eq!(fold_old_breaks("x\u{2029}      y\n", Some(4)), "x\u{2029}  y\n");
    }

    #[test]
    fn strings_that_would_change_when_plain() {
        for text in ["", "yes", "Off", "12:30:45", "-1:00", "1_0:5.5_", "1:2:59", "null", "0o7", "1e5"] {
            assert!(!is_string_when_plain(text), "{text}");
        }
        for text in ["yEs", "1:60", "1:", ":1", "1:2a", "a:1", "1:123", "x"] {
            assert!(is_string_when_plain(text), "{text}");
        }
    }
}
