//! From trees to text, byte for byte as sops prints it with go-yaml v3, peculiarities included.
//!
//! The emitter has a few slots for comments that are waiting to be written. A slot is filled when a node begins or
//! ends and emptied at certain points after that; one that was not emptied keeps its comments, into the next
//! document if need be. This is why a comment behind a nested list may come out further down.

use super::body::{Body, Comments, Part};
use super::lines::Lines;
use super::quote::{self, Place};
use super::style::BREAKS;
use crate::secret::SecretBytes;
use crate::sops::tree::{Map, Value};

/// Prints documents whose spans lie in `source`.
pub fn documents(documents: &[Map], source: &[u8]) -> SecretBytes {
    // A decrypted file is shorter than its encrypted form, unless it is all alias or escape.
    let mut emitter = Emitter { source, lines: Lines::with_capacity(source.len()), slots: Slots::default() };
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            emitter.lines.document_separator();
        }
        emitter.document(Body::Map(&document.0));
    }
    emitter.lines.into_secret()
}

/// Prints a list or a mapping as a document of its own, and any other value as it stands behind a key.
pub fn value(value: &Value, source: &[u8]) -> SecretBytes {
    let mut emitter = Emitter { source, lines: Lines::with_capacity(64), slots: Slots::default() };
    match Body::of(value) {
        Some(body) => emitter.document(body),
        None => emitter.bare_scalar(value, 0),
    }
    emitter.lines.into_secret()
}

/// The indentation of what is below something at `indent`: the next multiple of four.
fn next_indent(indent: usize) -> usize {
    (indent + 4) / 4 * 4
}

pub struct Emitter<'a> {
    pub(super) source: &'a [u8],
    pub(super) lines: Lines,
    pub(super) slots: Slots<'a>,
}

/// Comments that wait to be written.
#[derive(Default)]
pub(super) struct Slots<'a> {
    head: Comments<'a>,
    pub(super) line: Comments<'a>,
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
    fn document(&mut self, body: Body<'a>) {
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
        let prints_null = text.is_some_and(quote::prints_null);
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
