//! From trees to text, byte for byte as sops prints it with go-yaml v3, peculiarities included.
//!
//! The emitter has a few slots for comments that are waiting to be written. A slot is filled when a node begins or
//! ends and emptied at certain points after that; one that was not emptied keeps its comments, into the next
//! document if need be. This is why a comment behind a nested list may come out further down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize;

use super::lines::Lines;
use super::style::{self, BREAKS, Style};
use crate::secret::SecretBytes;
use crate::sops::format::number;
use crate::sops::tree::{Comment, Entry, Item, Map, Value};

/// Prints documents whose spans lie in `source`.
pub fn documents(documents: &[Map], source: &[u8]) -> SecretBytes {
    // A decrypted file is shorter than its encrypted form, unless it is all alias or escape.
    let mut emitter = Emitter { source, lines: Lines::with_capacity(source.len()), slots: Slots::default() };
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            emitter.lines.document_separator();
        }
        emitter.document(document);
    }
    emitter.lines.into_secret()
}

/// The indentation of what is below something at `indent`: the next multiple of four.
fn next_indent(indent: usize) -> usize {
    (indent + 4) / 4 * 4
}

type Comments<'a> = Vec<&'a Comment>;

struct Emitter<'a> {
    source: &'a [u8],
    lines: Lines,
    slots: Slots<'a>,
}

/// Comments that wait to be written.
#[derive(Default)]
struct Slots<'a> {
    head: Comments<'a>,
    line: Comments<'a>,
    foot: Comments<'a>,
    tail: Comments<'a>,
    key_line: Comments<'a>,
}

/// The comments of one node.
#[derive(Default)]
struct Notes<'a> {
    head: Comments<'a>,
    line: Comments<'a>,
    foot: Comments<'a>,
}

/// New comments overwrite what waits in a slot; none leave it as it is.
fn fill<'a>(slot: &mut Comments<'a>, comments: Comments<'a>) {
    if !comments.is_empty() {
        *slot = comments;
    }
}

impl<'a> Emitter<'a> {
    fn document(&mut self, map: &'a Map) {
        let body = Body::Map(&map.0);
        self.lines.set_foot(None);
        fill(&mut self.slots.head, body.leading());
        self.head(0);
        self.collection(body, Notes::default(), 0, 0);
        self.lines.set_foot(Some(0));
        self.foot(0);
        self.lines.set_foot(None);
        if !self.lines.at_line_start() {
            self.lines.line_feed();
        }
    }

    /// A value behind its key or dash. `child` is the indentation of what is inside of it, `indent` of what is
    /// around it.
    fn value(&mut self, value: &'a Value, notes: Notes<'a>, child: usize, indent: usize) {
        if let Some(body) = Body::of(value) {
            self.collection(body, notes, child, indent);
        } else {
            self.scalar(value, child);
            self.line(indent);
            self.foot(indent);
        }
    }

    fn collection(&mut self, body: Body<'a>, notes: Notes<'a>, child: usize, indent: usize) {
        self.line(indent);
        self.foot(indent);
        let Some(last) = body.last_node() else {
            return self.empty_collection(body, notes, child, indent);
        };
        let (mut heads, mut inline) = (Vec::new(), Vec::new());
        let mut is_first = true;
        for index in 0..=last {
            match body.part(index) {
                Some(Part::Comment(comment)) if comment.inline => inline.push(comment),
                Some(Part::Comment(comment)) => heads.push(comment),
                Some(Part::Node(key, value)) => {
                    // What stands before the first node is the collection's own head.
                    let own = std::mem::take(&mut heads);
                    let head = if std::mem::take(&mut is_first) { Vec::new() } else { own };
                    let line = std::mem::take(&mut inline);
                    if let Some(key) = key {
                        self.pair(key, value, head, line, child);
                    } else {
                        let foot = if index == last { body.trailing(last) } else { Vec::new() };
                        self.item(value, Notes { head, line, foot }, child);
                    }
                }
                None => {}
            }
        }
        if let Body::Map(_) = body {
            fill(&mut self.slots.tail, body.trailing(last));
        }
        fill(&mut self.slots.line, notes.line);
        fill(&mut self.slots.foot, notes.foot);
        if let Body::Map(_) = body {
            self.head(child);
        }
    }

    fn empty_collection(&mut self, body: Body<'a>, notes: Notes<'a>, child: usize, indent: usize) {
        let (open, close): (&[u8], &[u8]) =
            if matches!(body, Body::Map(_)) { (b"{", b"}") } else { (b"[", b"]") };
        if !self.lines.blank_last() {
            self.lines.put(b" ");
        }
        self.lines.put_blank(open);
        fill(&mut self.slots.line, notes.line);
        fill(&mut self.slots.foot, notes.foot);
        if matches!(body, Body::Map(_)) {
            self.head(child);
        }
        self.lines.put(close);
        self.line(indent);
        self.foot(indent);
    }

    fn item(&mut self, value: &'a Value, mut notes: Notes<'a>, indent: usize) {
        self.begin(value, &mut notes);
        self.head(indent);
        self.lines.indent_to(indent);
        self.lines.indicator(b"-");
        self.value(value, notes, indent + 2, indent);
    }

    fn pair(&mut self, key: &[u8], value: &'a Value, head: Comments<'a>, line: Comments<'a>, indent: usize) {
        fill(&mut self.slots.head, head);
        self.head(indent);
        self.lines.indent_to(indent);
        if !self.slots.line.is_empty() {
            self.slots.key_line = std::mem::take(&mut self.slots.line);
        }
        self.key(key, indent);
        let mut notes = Notes { line, ..Notes::default() };
        self.begin(value, &mut notes);
        if !self.slots.key_line.is_empty() {
            if Body::of(value).is_some() {
                std::mem::swap(&mut self.slots.line, &mut self.slots.key_line);
                self.line(indent);
                std::mem::swap(&mut self.slots.line, &mut self.slots.key_line);
            } else if self.slots.line.is_empty() {
                self.slots.line = std::mem::take(&mut self.slots.key_line);
            }
        }
        self.value(value, notes, next_indent(indent), indent);
    }

    /// Fills the slots with what a node brings at its beginning; a collection keeps the rest for its end.
    fn begin(&mut self, value: &'a Value, notes: &mut Notes<'a>) {
        let mut head = std::mem::take(&mut notes.head);
        if let Some(body) = Body::of(value) {
            head.extend(body.leading());
        } else {
            fill(&mut self.slots.line, std::mem::take(&mut notes.line));
            fill(&mut self.slots.foot, std::mem::take(&mut notes.foot));
        }
        fill(&mut self.slots.head, head);
    }

    fn key(&mut self, key: &[u8], indent: usize) {
        let text = std::str::from_utf8(key).ok();
        let is_multi_line = text.is_some_and(|text| text.contains(BREAKS));
        let prints_null = text.is_some_and(prints_null);
        let explicit = key.len() > 128 || (is_multi_line && !prints_null);
        if explicit {
            self.lines.indicator(b"? ");
        }
        let child = if is_multi_line { next_indent(indent) } else { indent };
        self.string(key, child, Place::Key);
        if explicit {
            self.lines.indent_to(indent);
        }
        self.lines.indicator(b":");
    }

    fn scalar(&mut self, value: &Value, child: usize) {
        self.lines.separate();
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

    fn string(&mut self, bytes: &[u8], child: usize, place: Place) {
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

    /// Writes what waits to stand on lines of its own in front of the next thing.
    fn head(&mut self, indent: usize) {
        let tail = std::mem::take(&mut self.slots.tail);
        if !tail.is_empty() {
            self.lines.indent_to(indent);
            self.lines.comments(&tail, self.source, indent);
            self.lines.set_foot(Some(indent));
        }
        let head = std::mem::take(&mut self.slots.head);
        if !head.is_empty() {
            self.lines.indent_to(indent);
            self.lines.comments(&head, self.source, indent);
        }
    }

    /// Writes what waits to stand at the end of the line.
    fn line(&mut self, indent: usize) {
        let line = std::mem::take(&mut self.slots.line);
        if !line.is_empty() {
            if !self.lines.blank_last() {
                self.lines.put(b" ");
            }
            self.lines.comments(&line, self.source, indent);
        }
    }

    /// Writes what waits to stand on lines of its own behind the last thing.
    fn foot(&mut self, indent: usize) {
        let foot = std::mem::take(&mut self.slots.foot);
        if !foot.is_empty() {
            self.lines.indent_to(indent);
            self.lines.comments(&foot, self.source, indent);
            self.lines.set_foot(Some(indent));
        }
    }
}

/// Whether a string is a key or a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Key,
    Value,
}

/// A string of several lines that begins with a tab, which go-yaml prints as `null`.
fn prints_null(text: &str) -> bool {
    text.starts_with('\t') && style::choose(text) == Style::Literal
}

/// The entries of a mapping or the items of a list.
#[derive(Clone, Copy)]
enum Body<'a> {
    Map(&'a [Entry]),
    List(&'a [Item]),
}

enum Part<'a> {
    Comment(&'a Comment),
    Node(Option<&'a [u8]>, &'a Value),
}

impl<'a> Body<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Map(map) => Some(Self::Map(&map.0)),
            Value::List(items) => Some(Self::List(items)),
            _ => None,
        }
    }

    fn part(self, index: usize) -> Option<Part<'a>> {
        Some(match self {
            Self::Map(entries) => match entries.get(index)? {
                Entry::Comment(comment) => Part::Comment(comment),
                Entry::Pair { key, value, .. } => Part::Node(Some(key), value),
            },
            Self::List(items) => match items.get(index)? {
                Item::Comment(comment) => Part::Comment(comment),
                Item::Value { value, .. } => Part::Node(None, value),
            },
        })
    }

    fn last_node(self) -> Option<usize> {
        match self {
            Self::Map(entries) => entries.iter().rposition(|entry| matches!(entry, Entry::Pair { .. })),
            Self::List(items) => items.iter().rposition(|item| matches!(item, Item::Value { .. })),
        }
    }

    /// The comments before the first node, without those on its line; all of them when there is no node.
    fn leading(self) -> Comments<'a> {
        let (mut full, inline) = self.comments_from(0);
        if self.last_node().is_none() {
            full.extend(inline);
        }
        full
    }

    /// The comments after the node at `last`.
    fn trailing(self, last: usize) -> Comments<'a> {
        let (mut full, inline) = self.comments_from(last + 1);
        full.extend(inline);
        full
    }

    /// The comments from `index` up to the next node: those with a line of their own, and the others.
    fn comments_from(self, index: usize) -> (Comments<'a>, Comments<'a>) {
        (index..)
            .map_while(|index| match self.part(index) {
                Some(Part::Comment(comment)) => Some(comment),
                _ => None,
            })
            .partition(|comment| !comment.inline)
    }
}
