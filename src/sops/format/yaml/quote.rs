//! Writing scalars in the style chosen for them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize;

use super::emit::Emitter;
use super::style::{self, BREAKS, Style};
use crate::sops::format::number;
use crate::sops::tree::Value;

/// Whether a string is a key or a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Key,
    Value,
}

/// A string of several lines that begins with a tab, which go-yaml prints as `null`.
pub fn prints_null(text: &str) -> bool {
    text.starts_with('\t') && style::choose(text) == Style::Literal
}

impl Emitter<'_> {
    pub(super) fn scalar(&mut self, value: &Value, child: usize) {
        self.lines.separate();
        self.bare_scalar(value, child);
    }

    /// Without the blank that keeps it from what stands before.
    pub(super) fn bare_scalar(&mut self, value: &Value, child: usize) {
        match value {
            Value::Null => self.lines.put(b"null"),
            Value::Bool(true) => self.lines.put(b"true"),
            Value::Bool(false) => self.lines.put(b"false"),
            Value::Int(int) => self.lines.put_formatted(format_args!("{int}")),
            Value::Unsigned(int) => self.lines.put_formatted(format_args!("{int}")),
            Value::Float(float) => self.float(*float),
            Value::Time(time) => self.wiped(time.to_rfc3339_nano()),
            Value::String(text) => {
                let source = self.source;
                self.string(text.bytes(source), child, Place::Value);
            }
            Value::List(_) | Value::Map(_) => {}
        }
    }

    fn float(&mut self, float: f64) {
        if float.is_nan() {
            self.lines.put(b".nan");
        } else if float.is_infinite() {
            self.lines.put(if float > 0.0 { b".inf" } else { b"-.inf" });
        } else {
            self.wiped(number::general(float, 'e'));
        }
    }

    fn wiped(&mut self, mut text: String) {
        self.lines.put(text.as_bytes());
        text.zeroize();
    }

    pub(super) fn string(&mut self, bytes: &[u8], child: usize, place: Place) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.binary(bytes, child, place);
        };
        if text == "<<" {
            return self.lines.put(b"!!merge <<");
        }
        match style::choose(text) {
            Style::Plain => self.lines.put(bytes),
            Style::Single => self.single_quoted(text, child),
            Style::Double => self.double_quoted(text),
            Style::Literal if prints_null(text) => self.lines.put(b"null"),
            Style::Literal => self.literal(text, child, place),
        }
    }

    fn single_quoted(&mut self, text: &str, child: usize) {
        self.lines.put(b"'");
        let mut previous_is_break = false;
        for part in text.split_inclusive(['\'', '\u{2028}', '\u{2029}']) {
            let is_break = part.ends_with(['\u{2028}', '\u{2029}']);
            if previous_is_break && !(is_break && part.chars().count() == 1) {
                self.lines.raw_blanks(child);
            }
            self.lines.put(part.as_bytes());
            if part.ends_with('\'') {
                self.lines.put(b"'");
            }
            previous_is_break = is_break;
        }
        self.lines.put(b"'");
    }

    fn double_quoted(&mut self, text: &str) {
        self.lines.put(b"\"");
        let escape_all = text.starts_with('\u{feff}');
        let must_escape = |character: char| {
            escape_all
                || !style::is_printable(character)
                || BREAKS.contains(&character)
                || matches!(character, '"' | '\\')
        };
        for part in text.split_inclusive(must_escape) {
            let Some((at, character)) = part.char_indices().next_back() else { continue };
            if must_escape(character) {
                self.lines.put(part.get(..at).unwrap_or_default().as_bytes());
                self.escape(character);
            } else {
                self.lines.put(part.as_bytes());
            }
        }
        self.lines.put(b"\"");
    }

    fn escape(&mut self, character: char) {
        let letter = match character {
            '\0' => b"\\0",
            '\x07' => b"\\a",
            '\x08' => b"\\b",
            '\t' => b"\\t",
            '\n' => b"\\n",
            '\x0b' => b"\\v",
            '\x0c' => b"\\f",
            '\r' => b"\\r",
            '\x1b' => b"\\e",
            '"' => b"\\\"",
            '\\' => b"\\\\",
            '\u{85}' => b"\\N",
            '\u{a0}' => b"\\_",
            '\u{2028}' => b"\\L",
            '\u{2029}' => b"\\P",
            _ => {
                let code = u32::from(character);
                return match code {
                    0..=0xff => self.lines.put_formatted(format_args!("\\x{code:02X}")),
                    0x100..=0xffff => self.lines.put_formatted(format_args!("\\u{code:04X}")),
                    _ => self.lines.put_formatted(format_args!("\\U{code:08X}")),
                };
            }
        };
        self.lines.put(letter);
    }

    fn literal(&mut self, text: &str, child: usize, place: Place) {
        self.lines.put(b"|");
        if text.starts_with(' ') || text.starts_with(BREAKS) {
            // Right only where the content is indented by four; sops prints it everywhere.
            self.lines.put(b"4");
        }
        let mut from_end = text.chars().rev();
        match (from_end.next(), from_end.next()) {
            (Some(last), _) if !BREAKS.contains(&last) => self.lines.put(b"-"),
            (Some(_), None) => self.lines.put(b"+"),
            (Some(_), Some(before)) if BREAKS.contains(&before) => self.lines.put(b"+"),
            _ => {}
        }
        self.header_end(child, place);
        let content = text.strip_suffix('\n').unwrap_or(text);
        for line in content.split_inclusive(BREAKS) {
            if !line.starts_with(BREAKS) {
                self.lines.raw_blanks(child);
            }
            self.lines.raw(line.as_bytes());
        }
        if place == Place::Value {
            if text.ends_with('\n') || !text.ends_with(BREAKS) {
                self.lines.raw(b"\n");
            }
            self.lines.end_literal();
        }
    }

    fn binary(&mut self, bytes: &[u8], child: usize, place: Place) {
        const LINE: usize = 70;
        let mut digits = STANDARD.encode(bytes);
        self.lines.put(b"!!binary ");
        if digits.len() < LINE {
            self.lines.put(digits.as_bytes());
        } else {
            self.lines.put(b"|");
            self.header_end(child, place);
            for (index, line) in digits.as_bytes().chunks(LINE).enumerate() {
                if index > 0 {
                    self.lines.raw(b"\n");
                }
                self.lines.raw_blanks(child);
                self.lines.raw(line);
            }
            if place == Place::Value {
                self.lines.raw(b"\n");
                self.lines.end_literal();
            }
        }
        digits.zeroize();
    }

    /// Ends the line of a `|`, with the comment that belongs on it.
    fn header_end(&mut self, child: usize, place: Place) {
        if place == Place::Key {
            self.lines.raw(b"\n");
        } else if self.slots.line.is_empty() {
            self.lines.line_feed();
        } else {
            self.lines.put(b" ");
            let comments = std::mem::take(&mut self.slots.line);
            self.lines.comments(&comments, self.source, child);
        }
    }
}
