//! The state of the line being written, as go-yaml's emitter keeps it. Where it breaks a line, and where it adds an
//! empty one after a comment, depends on this state and not only on the tree.

use std::fmt::{self, Write as _};

use crate::secret::SecretBytes;
use crate::sops::format::output::Output;
use crate::sops::tree::Comment;

pub struct Lines {
    output: Output,
    /// Exact while the line holds nothing but blanks and indicators; after that only zero or not.
    column: usize,
    only_indicators: bool,
    /// The emitter's idea of "white space came last"; a bare line feed does not set it.
    blank_last: bool,
    /// The indentation of a comment that ended what stood before it: a line at just this indentation is set off by
    /// an empty one.
    foot: Option<usize>,
}

impl Lines {
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            output: Output::with_capacity(capacity),
            column: 0,
            only_indicators: true,
            blank_last: true,
            foot: None,
        }
    }

    pub fn into_secret(self) -> SecretBytes {
        self.output.into_secret()
    }

    pub fn at_line_start(&self) -> bool {
        self.column == 0
    }

    pub fn blank_last(&self) -> bool {
        self.blank_last
    }

    pub fn set_foot(&mut self, indent: Option<usize>) {
        self.foot = indent;
    }

    /// Content. What follows it on the line needs a blank.
    pub fn put(&mut self, bytes: &[u8]) {
        self.output.push(bytes);
        self.column += 1;
        self.only_indicators = false;
        self.blank_last = false;
    }

    /// Content that is formatted in place, so that no copy of it is left on the heap.
    pub fn put_formatted(&mut self, content: fmt::Arguments<'_>) {
        // An Output takes everything, and numbers format without errors of their own.
        let _ = self.output.write_fmt(content);
        self.put(b"");
    }

    /// Content that a comment or a closing bracket may follow directly.
    pub fn put_blank(&mut self, bytes: &[u8]) {
        self.put(bytes);
        self.blank_last = true;
    }

    /// The blank between an indicator and what belongs to it.
    pub fn separate(&mut self) {
        if !matches!(self.output.last(), None | Some(b' ')) {
            self.output.push(b" ");
        }
    }

    /// A `-`, `?` or `:`, which does not keep the next node from starting on this line.
    pub fn indicator(&mut self, bytes: &[u8]) {
        self.output.push(bytes);
        self.column += bytes.len();
        self.blank_last = false;
    }

    /// Part of a multi-line scalar, outside of the bookkeeping.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.output.push(bytes);
    }

    pub fn raw_blanks(&mut self, mut count: usize) {
        const BLANKS: &[u8] = &[b' '; 64];
        while let Some(some) = BLANKS.get(..count.min(BLANKS.len())).filter(|some| !some.is_empty()) {
            self.output.push(some);
            count -= some.len();
        }
    }

    /// After a literal: the cursor is at the start of a line.
    pub fn end_literal(&mut self) {
        self.column = 0;
        self.only_indicators = true;
        self.blank_last = true;
    }

    /// Ends the line, and is the start of the next one.
    pub fn line_feed(&mut self) {
        self.output.push(b"\n");
        self.column = 0;
        self.only_indicators = true;
    }

    /// A separator between documents.
    pub fn document_separator(&mut self) {
        self.output.push(b"---\n");
        self.end_literal();
    }

    /// Moves to column `indent`, on a new line unless this one holds only indicators and has not passed it.
    pub fn indent_to(&mut self, indent: usize) {
        let passed = self.column > indent || (self.column == indent && !self.blank_last);
        if !self.only_indicators || passed {
            self.line_feed();
        }
        if self.foot == Some(indent) {
            self.line_feed();
        }
        self.raw_blanks(indent.saturating_sub(self.column));
        self.column = indent;
        self.foot = None;
        self.blank_last = true;
    }

    /// Writes comments, a line each, the first one from the cursor on. The text of a decrypted comment may have
    /// several lines; each becomes a comment of its own, unless it is empty.
    pub fn comments(&mut self, comments: &[&Comment], source: &[u8], indent: usize) {
        let mut is_first = true;
        for comment in comments {
            let lines = comment.text.bytes(source).split(|byte| *byte == b'\n');
            for (index, line) in lines.enumerate() {
                let mark: &[u8] = match line.first() {
                    _ if index == 0 => b"#",
                    Some(b'#') => b"",
                    Some(_) => b"# ",
                    None => {
                        self.line_feed();
                        continue;
                    }
                };
                if !is_first {
                    self.indent_to(indent);
                }
                is_first = false;
                let blank_last = self.blank_last;
                self.put(mark);
                for chunk in line.utf8_chunks() {
                    self.put(chunk.valid().as_bytes());
                    if !chunk.invalid().is_empty() {
                        self.put("\u{fffd}".as_bytes());
                    }
                }
                self.blank_last = blank_last;
                self.line_feed();
            }
        }
        self.blank_last = true;
    }
}
