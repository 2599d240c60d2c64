//! Reading INI line by line, with go-ini's rules for quotes, continued lines and comments.

use super::{DEFAULT_SECTION, trim, trim_end, trim_start};
use crate::secret::SecretBytes;
use crate::sops::format::{Nodes, SyntaxError};
use crate::sops::tree::{Comment, Entry, Map, Place, Text, Value};
use memchr::{memchr, memchr2, memmem, memrchr};
use std::borrow::Cow;
use std::collections::HashMap;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const LONG_QUOTE: &[u8] = b"\"\"\"";

/// Reads the sections of a file, `[sops]` among them.
///
/// # Errors
/// With the place of a section or quote that is not closed, of a line without a delimiter, or of an empty name.
pub fn read(source: &[u8]) -> Result<Map, SyntaxError> {
    let start = if source.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let mut reader = Reader {
        lines: Lines { source, at: start, number: 0 },
        pending: Vec::new(),
        section: Section::new(DEFAULT_SECTION, Place { line: 1, column: 1 }, None),
        done: Vec::new(),
    };
    let mut nodes = Nodes::new();
    while let Some(line) = reader.lines.next() {
        if !trim(line.text.bytes).is_empty() {
            nodes.add(line.place(line.text.start))?;
        }
        reader.line(line)?;
    }
    reader.done.push(reader.section.into_entry());
    Ok(Map(reader.done))
}

/// Bytes of the file that know where they lie in it.
#[derive(Clone, Copy)]
struct Piece<'a> {
    start: usize,
    bytes: &'a [u8],
}

impl Piece<'_> {
    fn skip(self, len: usize) -> Self {
        Self { start: self.start + len, bytes: self.bytes.get(len..).unwrap_or_default() }
    }

    fn take(self, len: usize) -> Self {
        Self { bytes: self.bytes.get(..len).unwrap_or(self.bytes), ..self }
    }

    fn trim_start(self) -> Self {
        self.skip(self.bytes.len() - trim_start(self.bytes).len())
    }

    fn trim(self) -> Self {
        let start = self.trim_start();
        start.take(trim_end(start.bytes).len())
    }

    fn span(self) -> Text {
        Text::Span { start: self.start, len: self.bytes.len() }
    }
}

/// The bytes of `pieces` in a row: a span if there is only one.
fn join(pieces: &[Piece]) -> Text {
    match pieces {
        [piece] => piece.span(),
        _ => Text::owned(pieces.iter().map(|piece| piece.bytes).collect::<Vec<_>>().concat()),
    }
}

#[derive(Clone, Copy)]
struct Line<'a> {
    number: u32,
    /// With the line feed, if it has one.
    text: Piece<'a>,
}

impl Line<'_> {
    /// The place of the byte at `at` of the file.
    fn place(&self, at: usize) -> Place {
        let before = self.text.bytes.get(..at.saturating_sub(self.text.start)).unwrap_or_default();
        let characters = before.iter().filter(|byte| !matches!(byte, 0x80..=0xBF)).count();
        Place { line: self.number, column: u32::try_from(characters + 1).unwrap_or(u32::MAX) }
    }

    fn error<T>(&self, at: Piece, problem: &str) -> Result<T, SyntaxError> {
        Err(SyntaxError::new(self.place(at.start), problem))
    }
}

struct Lines<'a> {
    source: &'a [u8],
    at: usize,
    number: u32,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let rest = self.source.get(self.at..).filter(|rest| !rest.is_empty())?;
        let len = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let text = Piece { start: self.at, bytes: rest }.take(len);
        self.at += len;
        self.number = self.number.saturating_add(1);
        Some(Line { number: self.number, text })
    }
}

struct Section<'a> {
    name: &'a [u8],
    place: Place,
    comment: Option<Comment>,
    pairs: Vec<Pair<'a>>,
    /// Where in `pairs` a key stands.
    positions: HashMap<Cow<'a, [u8]>, usize>,
    /// How many keys were written `-`, which numbers them.
    numbered: usize,
}

struct Pair<'a> {
    key: Cow<'a, [u8]>,
    place: Place,
    value: Text,
    comment: Option<Comment>,
}

impl<'a> Section<'a> {
    fn new(name: &'a [u8], place: Place, comment: Option<Comment>) -> Self {
        Self { name, place, comment, pairs: Vec::new(), positions: HashMap::new(), numbered: 0 }
    }

    fn set(&mut self, pair: Pair<'a>) {
        let next = self.pairs.len();
        let position = *self.positions.entry(pair.key.clone()).or_insert(next);
        match self.pairs.get_mut(position) {
            Some(earlier) => *earlier = pair,
            None => self.pairs.push(pair),
        }
    }

    fn into_entry(self) -> Entry {
        let mut entries = Vec::with_capacity(self.pairs.len() + 1);
        entries.extend(self.comment.map(Entry::Comment));
        for Pair { key, place, value, comment } in self.pairs {
            let key = key.into_owned().into_boxed_slice();
            entries.push(Entry::Pair { key, place, value: Value::String(value) });
            entries.extend(comment.map(Entry::Comment));
        }
        Entry::Pair { key: self.name.into(), place: self.place, value: Value::Map(Map(entries)) }
    }
}

struct Reader<'a> {
    lines: Lines<'a>,
    /// The comment that the next section or key will get.
    pending: Vec<Piece<'a>>,
    section: Section<'a>,
    done: Vec<Entry>,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: Line<'a>) -> Result<(), SyntaxError> {
        let text = line.text.trim_start();
        match text.bytes.first() {
            None => {}
            Some(b'#' | b';') => self.add_comment(text),
            Some(b'[') => self.section(line, text)?,
            Some(_) => self.pair(line, text)?,
        }
        Ok(())
    }

    fn section(&mut self, line: Line<'a>, text: Piece<'a>) -> Result<(), SyntaxError> {
        let Some(close) = memrchr(b']', text.bytes) else {
            return line.error(text, "the section is not closed by ']'");
        };
        let name = text.take(close).skip(1);
        if name.bytes.is_empty() {
            return line.error(text, "the section has no name");
        }
        self.add_trailing_comment(text.skip(close + 1));
        let next = Section::new(name.bytes, line.place(text.start), self.take_comment());
        self.done.push(std::mem::replace(&mut self.section, next).into_entry());
        Ok(())
    }

    fn pair(&mut self, line: Line<'a>, text: Piece<'a>) -> Result<(), SyntaxError> {
        let (name, rest) = split_key(line, text)?;
        let value = self.value(line, rest)?;
        let key = if name == b"-" {
            self.section.numbered += 1;
            Cow::Owned(format!("#{}", self.section.numbered).into_bytes())
        } else {
            Cow::Borrowed(name)
        };
        let comment = self.take_comment();
        self.section.set(Pair { key, place: line.place(text.start), value, comment });
        Ok(())
    }

    /// The value that `rest`, what follows the delimiter on `line`, begins.
    fn value(&mut self, line: Line<'a>, rest: Piece<'a>) -> Result<Text, SyntaxError> {
        let value = rest.trim_start();
        let quote: &[u8] = match value.bytes {
            [b'"', b'"', b'"', _, ..] => LONG_QUOTE,
            [b'`', ..] => b"`",
            _ => return Ok(self.unquoted(value.trim())),
        };
        let body = value.skip(quote.len());
        match memmem::rfind(body.bytes, quote) {
            // What follows on this line is dropped, even a comment.
            Some(end) => Ok(body.take(end).span()),
            None => match self.closing_quote(quote) {
                Some(end) => Ok(Text::Span { start: body.start, len: end - body.start }),
                None => line.error(value, "the quote is not closed"),
            },
        }
    }

    /// Where in the file the quote ends a value of several lines.
    fn closing_quote(&mut self, quote: &[u8]) -> Option<usize> {
        loop {
            let text = self.lines.next()?.text;
            let Some(at) = memmem::rfind(text.bytes, quote) else { continue };
            let after = text.skip(at + quote.len());
            // A line that is continued goes on inside of the quotes.
            if !after.trim().bytes.ends_with(b"\\") {
                self.add_trailing_comment(after.trim());
                return Some(text.start + at);
            }
        }
    }

    fn unquoted(&mut self, value: Piece<'a>) -> Text {
        if let Some(len) = value.bytes.strip_suffix(b"\\").map(<[u8]>::len) {
            return self.continued(value.take(len));
        }
        let end = memchr2(b'#', b';', value.bytes).unwrap_or(value.bytes.len());
        self.add_trailing_comment(value.skip(end));
        let value = value.take(end).trim();
        match value.bytes {
            [open @ (b'\'' | b'"'), inside @ .., close]
                if open == close && memchr(*open, inside).is_none() =>
            {
                value.take(inside.len() + 1).skip(1).span()
            }
            _ => value.span(),
        }
    }

    /// A value whose lines end in a backslash; `first` has lost its own. Marks and quotes mean nothing in it.
    fn continued(&mut self, first: Piece<'a>) -> Text {
        let mut pieces = vec![first];
        for line in self.lines.by_ref() {
            let text = line.text.trim();
            let Some(len) = text.bytes.strip_suffix(b"\\").map(<[u8]>::len) else {
                if !text.bytes.is_empty() {
                    pieces.push(text);
                }
                break;
            };
            pieces.push(text.take(len));
        }
        join(&pieces)
    }

    fn add_trailing_comment(&mut self, text: Piece<'a>) {
        if let Some(at) = memchr2(b'#', b';', text.bytes) {
            self.add_comment(text.skip(at));
        }
    }

    fn add_comment(&mut self, text: Piece<'a>) {
        if let Some(last) = self.pending.last_mut() {
            let end = text.start + text.bytes.len();
            // Lines that follow one another stay one piece, so that the comment is a span.
            if last.start + last.bytes.len() == text.start
                && let Some(bytes) = self.lines.source.get(last.start..end)
            {
                last.bytes = bytes;
                return;
            }
        }
        self.pending.push(text);
    }

    fn take_comment(&mut self) -> Option<Comment> {
        let text = match std::mem::take(&mut self.pending).as_slice() {
            [] => return None,
            [piece] => {
                let text = piece.trim();
                text.skip(text.bytes.len() - strip_mark(text.bytes).len()).span()
            }
            pieces => {
                let whole = join(pieces);
                Text::Owned(SecretBytes::from(strip_mark(trim(whole.bytes(self.lines.source)))))
            }
        };
        Some(Comment { text, inline: false })
    }
}

/// The name of the key that begins at `text` and what follows its delimiter.
fn split_key<'a>(line: Line<'a>, text: Piece<'a>) -> Result<(&'a [u8], Piece<'a>), SyntaxError> {
    let quote: &[u8] = match text.bytes {
        [b'"', b'"', b'"', _, _, _, _, ..] => LONG_QUOTE,
        [b'"', ..] => b"\"",
        [b'`', ..] => b"`",
        _ => b"",
    };
    let body = text.skip(quote.len());
    let (name, rest) = if quote.is_empty() {
        let end = memchr2(b'=', b':', body.bytes).unwrap_or(body.bytes.len());
        (body.take(end), body.skip(end))
    } else {
        let Some(end) = memmem::find(body.bytes, quote) else {
            return line.error(text, "the quote is not closed");
        };
        (body.take(end), body.skip(end + quote.len()))
    };
    let Some(delimiter) = memchr2(b'=', b':', rest.bytes) else {
        return line.error(text, "the line has no '=' or ':' and is neither section nor comment");
    };
    match trim(name.bytes) {
        b"" => line.error(text, "the key has no name"),
        name => Ok((name, rest.skip(delimiter + 1))),
    }
}

/// A comment without the marks and blanks that it begins with.
fn strip_mark(comment: &[u8]) -> &[u8] {
    let Some(mark @ (b'#' | b';')) = comment.first() else { return comment };
    let start = comment.iter().position(|byte| byte != mark && *byte != b' ').unwrap_or(comment.len());
    comment.get(start..).unwrap_or_default()
}
