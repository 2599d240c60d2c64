//! JSON as sops reads and writes it: Go's `encoding/json`, with order and duplicate keys kept. Binary files are JSON
//! with the content under `data`.

use memchr::memchr2;

use super::output::Output;
use super::{EmitError, MAX_DEPTH, Nodes, SyntaxError, number};
use crate::secret::SecretBytes;
use crate::sops::tree::{Entry, Item, Map, Place, Text, Value};

/// Reads a JSON object. Strings without escapes are spans of `source`.
///
/// Data after the closing brace is an error: sops before 3.13 refused it as well, and it is a sign of a botched
/// merge.
///
/// # Errors
/// With the place, when it is not JSON or its root is not an object.
pub fn read(source: &[u8]) -> Result<Map, SyntaxError> {
    let mut reader =
        Reader { source, at: 0, line: 1, line_start: 0, counted: 0, column: 1, nodes: Nodes::new() };
    if source.starts_with(b"\xef\xbb\xbf") {
        return Err(
            reader.error("it begins with a byte-order mark, which JSON does not have: save it without")
        );
    }
    reader.skip_blank();
    if reader.peek() != Some(b'{') {
        return Err(reader.error(match reader.peek() {
            None => "the file is empty",
            Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => "the top level is not an object",
            _ => "this is not JSON",
        }));
    }
    let map = reader.object(0)?;
    reader.skip_blank();
    match reader.peek() {
        None => Ok(map),
        Some(_) => Err(reader.error("there is more after the closing brace")),
    }
}

struct Reader<'s> {
    source: &'s [u8],
    at: usize,
    line: u32,
    line_start: usize,
    /// Columns count characters; this is how far they have been counted on the current line.
    counted: usize,
    column: u32,
    nodes: Nodes,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn place(&mut self) -> Place {
        let from = self.counted.max(self.line_start);
        if from == self.line_start {
            self.column = 1;
        }
        let passed = self.source.get(from..self.at).unwrap_or_default();
        let characters = passed.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        self.column = self.column.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        self.counted = self.at;
        Place { line: self.line, column: self.column }
    }

    fn error(&mut self, problem: &str) -> SyntaxError {
        let end = self.at >= self.source.len();
        SyntaxError::new(self.place(), if end { "the file ends too early" } else { problem })
    }

    fn skip_blank(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.at += 1;
            if byte == b'\n' {
                self.line = self.line.saturating_add(1);
                self.line_start = self.at;
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Map, SyntaxError> {
        let mut entries = Vec::new();
        self.enter(depth)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Map(entries));
        }
        loop {
            let place = self.place();
            self.nodes.add(place)?;
            if self.peek() != Some(b'"') {
                return Err(self.error("a key in double quotes is wanted here"));
            }
            let key = self.string()?.bytes(self.source).into();
            self.skip_blank();
            if self.peek() != Some(b':') {
                return Err(self.error("a colon is wanted here"));
            }
            self.at += 1;
            self.skip_blank();
            let value = self.value(depth)?;
            entries.push(Entry::Pair { key, place, value });
            if self.ends(b'}', "a comma or a closing brace is wanted here")? {
                return Ok(Map(entries));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Item>, SyntaxError> {
        let mut items = Vec::new();
        self.enter(depth)?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(items);
        }
        loop {
            let place = self.place();
            self.nodes.add(place)?;
            let value = self.value(depth)?;
            items.push(Item::Value { place, value });
            if self.ends(b']', "a comma or a closing bracket is wanted here")? {
                return Ok(items);
            }
        }
    }

    fn enter(&mut self, depth: usize) -> Result<(), SyntaxError> {
        if depth >= MAX_DEPTH {
            return Err(self.error("it is nested too deeply"));
        }
        self.at += 1;
        self.skip_blank();
        Ok(())
    }

    /// After an element: whether the container ends, having passed the comma otherwise.
    fn ends(&mut self, closing: u8, wanted: &str) -> Result<bool, SyntaxError> {
        self.skip_blank();
        let next = self.peek();
        if next != Some(b',') && next != Some(closing) {
            return Err(self.error(wanted));
        }
        self.at += 1;
        if next == Some(closing) {
            return Ok(true);
        }
        self.skip_blank();
        Ok(false)
    }

    fn value(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        match self.peek() {
            Some(b'{') => self.object(depth + 1).map(Value::Map),
            Some(b'[') => self.array(depth + 1).map(Value::List),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true", Value::Bool(true)),
            Some(b'f') => self.literal(b"false", Value::Bool(false)),
            Some(b'n') => self.literal(b"null", Value::Null),
            _ => Err(self.error("a value is wanted here")),
        }
    }

    fn literal(&mut self, word: &[u8], value: Value) -> Result<Value, SyntaxError> {
        if self.source.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.error("a value is wanted here"))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        let place = self.place();
        let malformed = SyntaxError::new(place, "the number is malformed");
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return Err(malformed);
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            if self.digits() == 0 {
                return Err(malformed);
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(malformed);
            }
        }
        let text = self
            .source
            .get(start..self.at)
            .and_then(|text| std::str::from_utf8(text).ok())
            .unwrap_or_default();
        // sops writes a negative zero as `-0` and has hashed it as the float it was.
        if integer
            && text != "-0"
            && let Ok(int) = text.parse()
        {
            return Ok(Value::Int(int));
        }
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Value::Float(float)),
            _ => Err(SyntaxError::new(place, "the number is out of range")),
        }
    }

    /// A string, its opening quote at the current position.
    fn string(&mut self) -> Result<Text, SyntaxError> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.source.get(self.at..).unwrap_or_default();
            let Some(length) = memchr2(b'"', b'\\', rest) else {
                self.at = self.source.len();
                return Err(self.error("the string does not end"));
            };
            let run = rest.get(..length).unwrap_or_default();
            // Without an early exit the compiler checks many bytes at once; a binary file is one long string.
            if run.iter().fold(0, |found, byte| found | u8::from(*byte < 0x20)) != 0 {
                self.at += run.iter().position(|byte| *byte < 0x20).unwrap_or(0);
                return Err(self.error("a control character stands in a string"));
            }
            self.at += length;
            if self.peek() == Some(b'"') {
                break;
            }
            escaped = true;
            // The escape itself is checked when it is decoded.
            self.at += 2;
        }
        let raw = self.source.get(start..self.at).unwrap_or_default();
        let text = if escaped {
            self.unescape(start, self.at)?
        } else if std::str::from_utf8(raw).is_ok() {
            Text::Span { start, len: raw.len() }
        } else {
            let mut out = Output::with_capacity(raw.len() * 3);
            push_utf8(&mut out, raw);
            Text::Owned(out.into_secret())
        };
        self.at += 1;
        Ok(text)
    }

    fn unescape(&mut self, start: usize, end: usize) -> Result<Text, SyntaxError> {
        // An invalid byte becomes three, an escape never grows.
        let mut out = Output::with_capacity((end - start) * 3);
        self.at = start;
        while self.at < end {
            let rest = self.source.get(self.at..end).unwrap_or_default();
            let run = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
            push_utf8(&mut out, rest.get(..run).unwrap_or_default());
            self.at += run;
            if self.at >= end {
                break;
            }
            let plain = match self.source.get(self.at + 1) {
                Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'u') => {
                    let character = self.unicode_escape(end)?;
                    out.push(character.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                _ => return Err(self.error("there is no such escape")),
            };
            out.push(&[plain]);
            self.at += 2;
        }
        self.at = end;
        Ok(Text::Owned(out.into_secret()))
    }

    /// `\uXXXX`, two of them for a surrogate pair; a surrogate alone becomes U+FFFD, as in Go.
    fn unicode_escape(&mut self, end: usize) -> Result<char, SyntaxError> {
        let Some(unit) = self.hex_unit(self.at, end) else {
            return Err(self.error("there is no such escape"));
        };
        self.at += 6;
        if !(0xd800..0xe000).contains(&unit) {
            return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let low = self.hex_unit(self.at, end).filter(|low| unit < 0xdc00 && (0xdc00..0xe000).contains(low));
        let Some(low) = low else { return Ok(char::REPLACEMENT_CHARACTER) };
        self.at += 6;
        let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex_unit(&self, at: usize, end: usize) -> Option<u32> {
        let escape = self.source.get(at..end)?.get(..6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

/// Go replaces every byte that is not UTF-8 with U+FFFD.
fn push_utf8(out: &mut Output, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        out.push(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            out.push("\u{fffd}".as_bytes());
        }
    }
}

/// Prints an object as `sops decrypt` does: tabs, one line feed at the end, comments dropped.
///
/// # Errors
/// For NaN and infinities.
pub fn emit(map: &Map, source: &[u8]) -> Result<SecretBytes, EmitError> {
    let mut writer = Writer { out: Output::with_capacity(source.len() / 2), source };
    writer.object(map, 0)?;
    writer.out.push(b"\n");
    Ok(writer.out.into_secret())
}

/// Prints a list or an object as `sops decrypt --extract` does: after an object, and only there, a line feed.
///
/// # Errors
/// For NaN and infinities.
pub fn emit_value(value: &Value, source: &[u8]) -> Result<SecretBytes, EmitError> {
    if let Value::Map(map) = value {
        return emit(map, source);
    }
    let mut writer = Writer { out: Output::with_capacity(64), source };
    writer.value(value, 0)?;
    Ok(writer.out.into_secret())
}

struct Writer<'s> {
    out: Output,
    source: &'s [u8],
}

impl Writer<'_> {
    fn line(&mut self, depth: usize) {
        self.out.push(b"\n");
        for _ in 0..depth {
            self.out.push(b"\t");
        }
    }

    fn object(&mut self, map: &Map, depth: usize) -> Result<(), EmitError> {
        self.out.push(b"{");
        let mut first = true;
        for (key, value) in map.pairs() {
            if !first {
                self.out.push(b",");
            }
            first = false;
            self.line(depth + 1);
            self.string(key);
            self.out.push(b": ");
            self.value(value, depth + 1).map_err(|error| named(error, key))?;
        }
        if !first {
            self.line(depth);
        }
        self.out.push(b"}");
        Ok(())
    }

    fn array(&mut self, items: &[Item], depth: usize) -> Result<(), EmitError> {
        self.out.push(b"[");
        let mut first = true;
        for item in items {
            let Item::Value { value, .. } = item else { continue };
            if !first {
                self.out.push(b",");
            }
            first = false;
            self.line(depth + 1);
            self.value(value, depth + 1)?;
        }
        if !first {
            self.line(depth);
        }
        self.out.push(b"]");
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), EmitError> {
        match value {
            Value::Null => self.out.push(b"null"),
            Value::Bool(true) => self.out.push(b"true"),
            Value::Bool(false) => self.out.push(b"false"),
            Value::Int(int) => self.out.push(int.to_string().as_bytes()),
            Value::Unsigned(int) => self.out.push(int.to_string().as_bytes()),
            Value::Float(float) => match number::json(*float) {
                Some(text) => self.out.push(text.as_bytes()),
                None => {
                    let (key, format) = (String::new(), "JSON");
                    return Err(EmitError::NotRepresentable {
                        key,
                        kind: "a float that is not finite",
                        format,
                    });
                }
            },
            Value::Time(time) => self.string(time.to_rfc3339_nano().as_bytes()),
            Value::String(text) => self.string(text.bytes(self.source)),
            Value::List(items) => self.array(items, depth)?,
            Value::Map(map) => self.object(map, depth)?,
        }
        Ok(())
    }

    /// With Go's HTML escaping, which sops leaves on.
    fn string(&mut self, bytes: &[u8]) {
        self.out.push(b"\"");
        for chunk in bytes.utf8_chunks() {
            let text = chunk.valid();
            let mut plain_from = 0;
            for (at, character) in text.char_indices() {
                let escape: &[u8] = match character {
                    '"' => b"\\\"",
                    '\\' => b"\\\\",
                    '\n' => b"\\n",
                    '\r' => b"\\r",
                    '\t' => b"\\t",
                    '\u{8}' => b"\\b",
                    '\u{c}' => b"\\f",
                    '<' => b"\\u003c",
                    '>' => b"\\u003e",
                    '&' => b"\\u0026",
                    '\u{2028}' => b"\\u2028",
                    '\u{2029}' => b"\\u2029",
                    '\0'..'\u{20}' => b"",
                    _ => continue,
                };
                self.out.push(text.get(plain_from..at).unwrap_or_default().as_bytes());
                if escape.is_empty() {
                    self.out.push(format!("\\u{:04x}", u32::from(character)).as_bytes());
                } else {
                    self.out.push(escape);
                }
                plain_from = at + character.len_utf8();
            }
            self.out.push(text.get(plain_from..).unwrap_or_default().as_bytes());
            for _ in chunk.invalid() {
                self.out.push(b"\\ufffd");
            }
        }
        self.out.push(b"\"");
    }
}

/// Puts the key in front of the path in an error that came from below.
fn named(error: EmitError, key: &[u8]) -> EmitError {
    match error {
        EmitError::NotRepresentable { key: below, kind, format } => {
            let key = String::from_utf8_lossy(key);
            let key = if below.is_empty() { key.into_owned() } else { format!("{key}/{below}") };
            EmitError::NotRepresentable { key, kind, format }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
