//! Printing INI as go-ini does: sections parted by an empty line, `=` aligned within a section, quotes only where
//! reading back needs them.

use super::{DEFAULT_SECTION, trim};
use crate::secret::SecretBytes;
use crate::sops::format::EmitError;
use crate::sops::format::output::Output;
use crate::sops::format::scalar::{self, ScalarText};
use crate::sops::tree::{Comment, Entry, Map, Value};
use memchr::{memchr, memchr2, memchr3};

/// Prints sections of scalars, as `read` gives them.
///
/// # Errors
/// [`EmitError::NotRepresentable`] for a top-level value that is not a mapping and for a value in a section that is
/// not a scalar.
pub fn emit(map: &Map, source: &[u8]) -> Result<SecretBytes, EmitError> {
    let mut out = Output::with_capacity(source.len());
    let sections = map.pairs().count();
    for (index, (name, value)) in map.pairs().enumerate() {
        let Value::Map(section) = value else {
            return Err(not_representable(name, value, "an INI file outside of a section"));
        };
        push_section(&mut out, index == 0, name, section, source)?;
        let prints_nothing = index == 0 && is_default(name) && section.pairs().next().is_none();
        if index + 1 < sections && !prints_nothing {
            out.push(b"\n");
        }
    }
    Ok(out.into_secret())
}

fn push_section(
    out: &mut Output,
    is_first: bool,
    name: &[u8],
    section: &Map,
    source: &[u8],
) -> Result<(), EmitError> {
    let mut entries = section.0.iter().peekable();
    if let Some(Entry::Comment(comment)) = entries.peek() {
        push_comment(out, comment.text.bytes(source), |line| line);
    }
    if !is_first || !is_default(name) {
        for part in [b"[", name, b"]\n"] {
            out.push(part);
        }
    }
    let width = section.pairs().map(|(key, _)| key.len() + 2 * key_quote(key).len()).max().unwrap_or(0);
    while let Some(entry) = entries.next() {
        let Entry::Pair { key, value, .. } = entry else { continue };
        let text = scalar::text(value, source).ok_or_else(|| not_representable(key, value, "an INI file"))?;
        // Of several comments behind a key the last counts.
        let mut comment: Option<&Comment> = None;
        while let Some(Entry::Comment(next)) = entries.peek() {
            comment = Some(next);
            entries.next();
        }
        if let Some(comment) = comment {
            push_comment(out, comment.text.bytes(source), trim);
        }
        push_pair(out, key, width, &text);
    }
    Ok(())
}

fn push_pair(out: &mut Output, key: &[u8], width: usize, text: &ScalarText) {
    let quote = key_quote(key);
    for part in [quote, key, quote] {
        out.push(part);
    }
    for _ in key.len() + 2 * quote.len()..width {
        out.push(b" ");
    }
    let quote = value_quote(text.bytes());
    for part in [b" = ", quote, text.bytes(), quote, b"\n"] {
        out.push(part);
    }
}

/// Prints a comment, each of its lines with its own mark if it has one, else with `;`.
///
/// go-ini crashes on an empty line; it becomes a bare `;` here.
fn push_comment(out: &mut Output, text: &[u8], trim_unmarked: fn(&[u8]) -> &[u8]) {
    if text.is_empty() {
        return;
    }
    for line in text.split(|byte| *byte == b'\n') {
        match line.split_at_checked(1) {
            Some((mark @ [b'#' | b';'], rest)) => {
                for part in [mark, b" ", trim(rest), b"\n"] {
                    out.push(part);
                }
            }
            Some(_) => {
                for part in [b"; ", trim_unmarked(line), b"\n"] {
                    out.push(part);
                }
            }
            None => out.push(b";\n"),
        }
    }
}

/// What a key is written between. A key with both kinds of quotes does not read back as it was, as in sops.
fn key_quote(key: &[u8]) -> &'static [u8] {
    if memchr3(b'"', b'=', b':', key).is_some() {
        b"`"
    } else if memchr(b'`', key).is_some() {
        b"\"\"\""
    } else {
        b""
    }
}

/// What a value is written between.
fn value_quote(value: &[u8]) -> &'static [u8] {
    if memchr2(b'\n', b'`', value).is_some() {
        b"\"\"\""
    } else if memchr2(b'#', b';', value).is_some() {
        b"`"
    } else if trim(value).len() != value.len() {
        b"\""
    } else {
        b""
    }
}

fn is_default(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(DEFAULT_SECTION)
}

fn not_representable(key: &[u8], value: &Value, format: &'static str) -> EmitError {
    EmitError::NotRepresentable { key: String::from_utf8_lossy(key).into_owned(), kind: value.kind(), format }
}
