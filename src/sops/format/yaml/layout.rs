//! What the parser's events leave out: where the `-` and `?` of an entry stand, what shares a line with a comment, and
//! where a value ends.

use granit_parser::{Marker, ScalarStyle, Span};

use super::comments::{Extent, Shape};

/// The text, and how much of it has been seen.
pub struct Layout<'a> {
    text: &'a str,
    /// All nodes before this byte have been seen.
    cursor: usize,
}

/// Where an entry begins.
pub struct Position {
    pub byte: usize,
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub fn of(marker: &Marker) -> Self {
        Self { byte: byte(marker), line: marker.line(), column: marker.col() }
    }
}

impl<'a> Layout<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, cursor: 0 }
    }

    /// The nodes before `marker` have been read.
    pub fn seen(&mut self, marker: &Marker) {
        self.cursor = self.cursor.max(byte(marker));
    }

    /// Whether the last thing before a key is a `?`; it may also be the end of another value.
    pub fn may_be_explicit_key(&self, key: &Marker) -> bool {
        let before = self.text.as_bytes().get(..byte(key)).unwrap_or_default();
        before.trim_ascii_end().ends_with(b"?")
    }

    /// How a scalar lies in the file.
    pub fn shape(&self, style: ScalarStyle, span: &Span) -> Shape {
        let mut extent = extent(span);
        if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return Shape::Scalar(extent);
        }
        // The span takes in the line ends and empty lines that follow the text.
        let text = span.slice(self.text).unwrap_or_default();
        let behind = text.bytes().rev().take_while(|byte| matches!(byte, b'\n' | b'\r' | b' '));
        extent.last_line = extent.last_line.saturating_sub(behind.filter(|byte| *byte == b'\n').count());
        Shape::Block(extent)
    }

    /// Whether only blanks and dashes stand before byte `at` on its line: `- # comment` stands beside no value.
    pub fn is_line_start(&self, at: usize) -> bool {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        before
            .iter()
            .rev()
            .find(|byte| !matches!(byte, b' ' | b'\t' | b'-'))
            .is_none_or(|byte| matches!(byte, b'\n' | b'\r'))
    }

    /// The `-` in front of an item or the `?` in front of a key. The parser does not report them, so they are looked
    /// for between the cursor and the node, where there are only blanks, comments and properties of the node.
    pub fn find_indicator(&mut self, indicator: u8, node: &Marker) -> Option<Position> {
        let bytes = self.text.as_bytes();
        let end = byte(node);
        let mut at = self.cursor;
        while at < end {
            let rest = bytes.get(at..end)?;
            match rest {
                [b' ' | b'\t' | b'\r' | b'\n', ..] => at += 1,
                [b'#', ..] => at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()),
                [first] | [first, b' ' | b'\t' | b'\r' | b'\n', ..] if *first == indicator => {
                    self.cursor = at + 1;
                    let before = bytes.get(..at)?;
                    let start = memchr::memrchr2(b'\n', b'\r', before).map_or(0, |before| before + 1);
                    let below = memchr::memchr_iter(b'\n', bytes.get(at..end)?).count();
                    let line = node.line().saturating_sub(below);
                    return Some(Position { byte: at, line, column: at - start });
                }
                _ => {
                    let token = rest.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
                    at += token.unwrap_or(rest.len());
                }
            }
        }
        None
    }
}

/// A marker as an offset into the text.
pub fn byte(marker: &Marker) -> usize {
    marker.byte_offset().unwrap_or(usize::MAX)
}

pub fn extent(span: &Span) -> Extent {
    Extent { first_line: span.start.line(), last_line: span.end.line(), end: byte(&span.end) }
}
