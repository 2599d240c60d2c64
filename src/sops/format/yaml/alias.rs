//! Aliases: every use of an anchor gets a copy of its own, within limits.

use super::super::MAX_DEPTH;
use super::problem;
use crate::sops::tree::{Comment, Entry, Item, Map, Text, Value};

/// Values that all copies together may hold. A file of a few hundred bytes can ask for billions; go-yaml begins to
/// refuse at the same number.
const MAX_NODES: usize = 400_000;
/// Bytes of text that all copies together may hold, since one long string can be repeated instead of many short
/// ones. Far above any real file, and little memory for a server.
const MAX_BYTES: usize = 64 << 20;

/// Copies values; counts what it copies.
pub struct Copier {
    nodes: usize,
    bytes: usize,
}

impl Copier {
    pub fn new() -> Self {
        Self { nodes: MAX_NODES, bytes: MAX_BYTES }
    }

    /// A copy whose strings are its own: a span may be in the tree only once, because decryption writes into it.
    /// `depth` is the number of containers around the copy.
    ///
    /// # Errors
    /// In words, when a limit is reached.
    pub fn copy(&mut self, source: &[u8], value: &Value, depth: usize) -> Result<Value, String> {
        self.nodes = self.nodes.checked_sub(1).ok_or_else(too_much)?;
        if depth >= MAX_DEPTH && matches!(value, Value::List(_) | Value::Map(_)) {
            return Err(problem::too_deep());
        }
        Ok(match value {
            Value::Null => Value::Null,
            Value::Bool(flag) => Value::Bool(*flag),
            Value::Int(int) => Value::Int(*int),
            Value::Unsigned(int) => Value::Unsigned(*int),
            Value::Float(float) => Value::Float(*float),
            Value::Time(time) => Value::Time(*time),
            Value::String(text) => Value::String(self.text(source, text)?),
            Value::List(items) => Value::List(self.items(source, items, depth + 1)?),
            Value::Map(map) => Value::Map(Map(self.entries(source, &map.0, depth + 1)?)),
        })
    }

    fn items(&mut self, source: &[u8], items: &[Item], depth: usize) -> Result<Vec<Item>, String> {
        items
            .iter()
            .map(|item| match item {
                Item::Comment(comment) => Ok(Item::Comment(self.comment(source, comment)?)),
                Item::Value { place, value } => {
                    Ok(Item::Value { place: *place, value: self.copy(source, value, depth)? })
                }
            })
            .collect()
    }

    fn entries(&mut self, source: &[u8], entries: &[Entry], depth: usize) -> Result<Vec<Entry>, String> {
        entries
            .iter()
            .map(|entry| match entry {
                Entry::Comment(comment) => Ok(Entry::Comment(self.comment(source, comment)?)),
                Entry::Pair { key, place, value } => {
                    self.count(key.len())?;
                    let value = self.copy(source, value, depth)?;
                    Ok(Entry::Pair { key: key.clone(), place: *place, value })
                }
            })
            .collect()
    }

    fn comment(&mut self, source: &[u8], comment: &Comment) -> Result<Comment, String> {
        self.nodes = self.nodes.checked_sub(1).ok_or_else(too_much)?;
        Ok(Comment { text: self.text(source, &comment.text)?, inline: comment.inline })
    }

    fn text(&mut self, source: &[u8], text: &Text) -> Result<Text, String> {
        self.count(text.len())?;
        Ok(Text::owned(text.bytes(source).to_vec()))
    }

    fn count(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }
}

fn too_much() -> String {
    "the aliases of this file stand for too much".to_owned()
}
