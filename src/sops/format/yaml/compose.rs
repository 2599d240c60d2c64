//! From the parser's events to trees, one event at a time.
//!
//! The containers that are open form a stack. A block collection that has ended stays on it until the next entry
//! begins (or the document ends), because only then is it known whose the comments in between are.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, StructureStyle, Tag, YamlVersion};

use super::super::{MAX_DEPTH, Nodes, SyntaxError};
use super::alias::Copier;
use super::comments::{Comments, Gap, Shape};
use super::container::{Container, Role};
use super::layout::{self, Layout, Position, byte};
use super::problem;
use super::scalar::{self, Forced};
use crate::sops::tree::{Comment, Entry, Map, Place, Text, Value};

/// Reads the documents of `text`, which begins at byte `start` of `source`.
///
/// # Errors
/// With the place, when the text is not YAML or not what sops can read.
pub fn documents(source: &[u8], text: &str, start: usize) -> Result<Vec<Map>, SyntaxError> {
    let options = granit_parser::options! {
        max_buffered_comment_events: usize::MAX,
        block_scalar_eof_without_line_feed: true,
        bom_inside_document_as_content: true,
        // Ours is reached first, and counts both kinds of collections together.
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
        emit_anchor_events: true,
    };
    let mut composer = Composer {
        source,
        text,
        start,
        stack: Vec::new(),
        open: 0,
        nodes: Nodes::new(),
        flow_depth: 0,
        comments: Comments::default(),
        layout: Layout::new(text),
        anchors: HashMap::new(),
        old_breaks: text.contains(scalar::OLD_BREAKS),
        copier: text.contains('*').then(Copier::new),
        root: None,
        in_document: false,
        documents: Vec::new(),
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| problem::from_parser(&error))?;
        composer.take(event, &span)?;
    }
    Ok(composer.documents)
}

/// A marker of the parser as a place for messages.
pub fn place(marker: &Marker) -> Place {
    Place {
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
        column: u32::try_from(marker.col().saturating_add(1)).unwrap_or(u32::MAX),
    }
}

struct Composer<'a> {
    source: &'a [u8],
    text: &'a str,
    start: usize,
    stack: Vec<Container>,
    /// How many containers of the stack have not ended.
    open: usize,
    nodes: Nodes,
    flow_depth: usize,
    comments: Comments,
    layout: Layout<'a>,
    /// Copies of anchored values. Only kept when the file can hold an alias at all.
    anchors: HashMap<usize, Value>,
    copier: Option<Copier>,
    old_breaks: bool,
    root: Option<Map>,
    in_document: bool,
    documents: Vec<Map>,
}

impl<'a> Composer<'a> {
    fn take(&mut self, event: Event<'a>, span: &Span) -> Result<(), SyntaxError> {
        match event {
            Event::DocumentStart(explicit, version) => self.start_document(explicit, version, span),
            // At the end of a document without `...`, comments may still belong to it.
            Event::DocumentEnd if span.start.index() == span.end.index() => Ok(()),
            Event::DocumentEnd | Event::StreamEnd => self.end_document(),
            Event::Comment(..) => {
                self.nodes.add(place(&span.start))?;
                self.comment(span);
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Anchor(_, name) => anchor_name(&name, span),
            Event::SequenceStart(style, anchor, _) => self.start_container(
                Container::list(style == StructureStyle::Flow, anchor, place(&span.start)),
                span,
            ),
            Event::MappingStart(style, anchor, _) => self.start_container(
                Container::map(style == StructureStyle::Flow, anchor, place(&span.start)),
                span,
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end_container(span),
            _ => Ok(()),
        }
    }

    fn start_document(
        &mut self,
        explicit: bool,
        version: Option<YamlVersion>,
        span: &Span,
    ) -> Result<(), SyntaxError> {
        self.end_document()?;
        if !explicit && !self.documents.is_empty() {
            return Err(SyntaxError::new(
                place(&span.start),
                "a second document that does not begin with '---'",
            ));
        }
        if version.is_some_and(|version| version != YamlVersion::new(1, 1)) {
            let problem = "a '%YAML' directive that asks for another version than 1.1, which sops refuses";
            return Err(SyntaxError::new(place(&span.start), problem));
        }
        self.in_document = true;
        self.layout.seen(&span.end);
        Ok(())
    }

    fn end_document(&mut self) -> Result<(), SyntaxError> {
        if !self.in_document {
            return Ok(());
        }
        let gap = Gap { before: usize::MAX, next: None, open: 0 };
        let mut rest = self.comments.settle(&mut self.stack, &gap);
        if let Some(root) = self.stack.first_mut() {
            root.comments_after(std::mem::take(&mut rest));
        }
        self.close_to(0)?;
        self.comments.discard();
        self.anchors.clear();
        let empty = || Map(rest.into_iter().map(Entry::Comment).collect());
        self.documents.push(self.root.take().unwrap_or_else(empty));
        self.in_document = false;
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<(), SyntaxError> {
        // The parser shows a missing value as `~`.
        let missing = style == ScalarStyle::Plain && span.start.index() == span.end.index();
        let text = if missing { Cow::Borrowed("") } else { text };
        let role = self.next_role();
        if role == Some(Role::Item) {
            self.item(span)?;
        }
        if style == ScalarStyle::Plain && self.flow_depth > 0 && text.contains('?') {
            let problem = "a '?' between braces or brackets, which begins a key to sops; what it stands in needs quotes";
            return Err(SyntaxError::new(place(&span.start), problem));
        }
        let value = self.value(text, style, tag, span)?;
        if anchor != 0
            && let Some(copier) = &mut self.copier
        {
            let copy = copier.copy(self.source, &value, self.open);
            self.anchors
                .insert(anchor, copy.map_err(|problem| SyntaxError::new(place(&span.start), problem))?);
        }
        match role {
            None => match value {
                Value::Null => {}
                _ => return Err(not_a_mapping(span)),
            },
            Some(Role::Key) => {
                if missing && tag.is_none() {
                    return Err(SyntaxError::new(place(&span.start), "an empty key"));
                }
                self.key(&value, span)?;
            }
            Some(Role::Value | Role::Item) => {
                self.complete(value);
                if !missing {
                    self.comments.value(self.layout.shape(style, span));
                }
            }
        }
        self.layout.seen(&span.end);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<(), SyntaxError> {
        let role = self.next_role();
        if role == Some(Role::Item) {
            self.item(span)?;
        }
        // The parser refuses unknown names, so one that is missing here is still being read.
        let copy = match (self.anchors.get(&anchor), &mut self.copier) {
            (Some(value), Some(copier)) => copier.copy(self.source, value, self.open),
            _ => Err("an alias inside of the value that it stands for".to_owned()),
        };
        let value = copy.map_err(|problem| SyntaxError::new(place(&span.start), problem))?;
        match role {
            None => return Err(not_a_mapping(span)),
            Some(Role::Key) => self.key(&value, span)?,
            Some(Role::Value | Role::Item) => {
                self.complete(value);
                self.comments.value(Shape::Scalar(layout::extent(span)));
            }
        }
        self.layout.seen(&span.end);
        Ok(())
    }

    fn start_container(&mut self, mut container: Container, span: &Span) -> Result<(), SyntaxError> {
        match self.next_role() {
            None => {
                if container.next_role() != Role::Key {
                    return Err(not_a_mapping(span));
                }
                if container.flow {
                    // It has no entries of its own that the comments above it could wait for.
                    let heads = self.comments.take(byte(&span.start));
                    container.comments_after(heads);
                }
            }
            Some(Role::Key) => {
                return Err(SyntaxError::new(place(&span.start), "a key that is a list or a mapping"));
            }
            Some(Role::Item) => self.item(span)?,
            Some(Role::Value) => {}
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(SyntaxError::new(place(&span.start), problem::too_deep()));
        }
        if container.flow {
            self.flow_depth += 1;
            self.layout.seen(&span.end);
        }
        self.open += 1;
        self.stack.push(container);
        Ok(())
    }

    fn end_container(&mut self, span: &Span) -> Result<(), SyntaxError> {
        self.open = self.open.saturating_sub(1);
        if self.flow_depth == 0 {
            return Ok(());
        }
        self.flow_depth -= 1;
        let rest = self.comments.take(byte(&span.start));
        if let Some(container) = self.stack.last_mut().filter(|container| container.column.is_some()) {
            container.comments_after(rest);
        }
        self.layout.seen(&span.end);
        if self.open > 0 {
            self.close_to(self.open)?;
            self.comments.entry(self.open - 1, span.end.line());
            self.comments.value(Shape::Flow(layout::extent(span)));
        }
        Ok(())
    }

    fn key(&mut self, value: &Value, span: &Span) -> Result<(), SyntaxError> {
        let Value::String(key) = value else {
            let problem = format!("a key that is {}; keys must be strings, so it needs quotes", value.kind());
            return Err(SyntaxError::new(place(&span.start), problem));
        };
        self.nodes.add(place(&span.start))?;
        let key = key.bytes(self.source).into();
        let is_explicit = self.flow_depth == 0 && self.layout.may_be_explicit_key(&span.start);
        let mark = if is_explicit { self.layout.find_indicator(b'?', &span.start) } else { None };
        self.entry(&mark.unwrap_or_else(|| Position::of(&span.start)))?;
        if let Some(container) = self.stack.last_mut() {
            container.begin_pair(key, place(&span.start));
        }
        Ok(())
    }

    fn item(&mut self, span: &Span) -> Result<(), SyntaxError> {
        self.nodes.add(place(&span.start))?;
        let dash = if self.flow_depth == 0 { self.layout.find_indicator(b'-', &span.start) } else { None };
        self.entry(&dash.unwrap_or_else(|| Position::of(&span.start)))?;
        if let Some(container) = self.stack.last_mut() {
            container.begin_item(place(&span.start));
        }
        Ok(())
    }

    /// A key or item begins: places the comments before it and closes what has ended.
    fn entry(&mut self, position: &Position) -> Result<(), SyntaxError> {
        let heads = if self.flow_depth == 0 {
            let next = Some((position.line, position.column));
            self.comments.settle(&mut self.stack, &Gap { before: position.byte, next, open: self.open })
        } else {
            self.comments.take(position.byte)
        };
        self.close_to(self.open)?;
        if let Some(container) = self.stack.last_mut() {
            container.comments_after(heads);
            container.column = Some(position.column);
        }
        self.comments.entry(self.stack.len().saturating_sub(1), position.line);
        Ok(())
    }

    fn complete(&mut self, value: Value) {
        if let Some(container) = self.stack.last_mut() {
            container.complete(value);
        }
    }

    /// Takes containers off the stack until `depth` are left, each becoming the value of the one below.
    fn close_to(&mut self, depth: usize) -> Result<(), SyntaxError> {
        while self.stack.len() > depth {
            let Some(container) = self.stack.pop() else { break };
            if self.documents.is_empty()
                && let Some((second, first)) = container.duplicate()
            {
                let Place { line, column } = first;
                let problem = format!("this key is already defined at line {line}, column {column}");
                return Err(SyntaxError::new(second, problem));
            }
            let (anchor, start) = (container.anchor, container.start);
            let value = container.into_value();
            if anchor != 0
                && let Some(copier) = &mut self.copier
            {
                let copy = copier.copy(self.source, &value, self.stack.len());
                let copy = copy.map_err(|problem| SyntaxError::new(start, problem))?;
                self.anchors.insert(anchor, copy);
            }
            match (self.stack.last_mut(), value) {
                (Some(parent), value) => parent.complete(value),
                (None, Value::Map(map)) => self.root = Some(map),
                // The root is a mapping: start_container sees to it.
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn comment(&mut self, span: &Span) {
        let Some(range) = span.byte_range() else { return };
        let len = range.len().saturating_sub(1);
        let text = Text::Span { start: self.start + range.start + 1, len };
        let comment = Comment { text, inline: false };
        if self.layout.is_line_start(range.start) {
            self.comments.full_line(range.start, span.start.line(), span.start.col(), comment);
        } else if self.flow_depth == 0
            || self.stack.last().is_some_and(|container| container.column.is_some())
        {
            self.comments.same_line(&mut self.stack, span.start.line(), range.start, comment);
        }
    }

    fn next_role(&self) -> Option<Role> {
        let role = self.open.checked_sub(1).and_then(|top| self.stack.get(top)).map(Container::next_role);
        // A collection that has ended but is still on the stack is the value that its mapping waits for.
        let has_value = self.stack.len() > self.open;
        if has_value && role == Some(Role::Value) { Some(Role::Key) } else { role }
    }

    fn value(
        &self,
        mut text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<Value, SyntaxError> {
        if self.old_breaks && span.slice(self.text).is_some_and(|text| text.contains(scalar::OLD_BREAKS)) {
            let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
            let indent = is_block.then(|| span.start.col());
            text = Cow::Owned(scalar::fold_old_breaks(&text, indent));
        }
        let typed = match scalar::forced(tag) {
            Forced::Binary => scalar::binary(&text).map(|bytes| Value::String(Text::owned(bytes))),
            Forced::Type(name) => scalar::convert(&text, &name),
            Forced::No if style == ScalarStyle::Plain => {
                Some(scalar::resolve(&text).unwrap_or_else(|| Value::String(self.string(text, style, span))))
            }
            Forced::No | Forced::String => Some(Value::String(self.string(text, style, span))),
        };
        typed.ok_or_else(|| SyntaxError::new(place(&span.start), "a value that is not what its tag says"))
    }

    /// The text as a span where its bytes stand in the file as they are.
    fn string(&self, text: Cow<'_, str>, style: ScalarStyle, span: &Span) -> Text {
        let quote = match style {
            ScalarStyle::Plain => 0,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
            ScalarStyle::Literal | ScalarStyle::Folded => {
                return Text::owned(text.into_owned().into_bytes());
            }
        };
        let start = byte(&span.start).saturating_add(quote);
        let end = byte(&span.end).saturating_sub(quote);
        if self.text.get(start..end) == Some(&*text) {
            Text::Span { start: self.start + start, len: text.len() }
        } else {
            Text::owned(text.into_owned().into_bytes())
        }
    }
}

/// go-yaml ends the name at the first other character, and refuses what follows or takes it for the value. Aliases need
/// no check: to these they are unknown.
fn anchor_name(name: &str, span: &Span) -> Result<(), SyntaxError> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
        return Ok(());
    }
    let problem = "an anchor with another character than letters, digits, '_' and '-' in its name";
    Err(SyntaxError::new(place(&span.start), problem))
}

fn not_a_mapping(span: &Span) -> SyntaxError {
    SyntaxError::new(place(&span.start), "the document is not a mapping of keys to values")
}
