//! A mapping or list of the document while it is being read.

use crate::sops::tree::{Comment, Entry, Item, Map, Place, Value};

pub struct Container {
    content: Content,
    /// The key or list item whose value is still to come.
    pending: Option<Pending>,
    /// Comments that belong behind the pending value.
    after: Vec<Comment>,
    /// The column at which entries begin; `None` before the first one.
    pub column: Option<usize>,
    pub flow: bool,
    /// The parser's number for the anchor, 0 without one.
    pub anchor: usize,
    pub start: Place,
}

enum Content {
    Map(Vec<Entry>),
    List(Vec<Item>),
}

enum Pending {
    Key(Box<[u8]>, Place),
    Item(Place),
}

/// What the next node is to a container.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Key,
    Value,
    Item,
}

impl Container {
    pub fn map(flow: bool, anchor: usize, start: Place) -> Self {
        Self::new(Content::Map(Vec::new()), flow, anchor, start)
    }

    pub fn list(flow: bool, anchor: usize, start: Place) -> Self {
        Self::new(Content::List(Vec::new()), flow, anchor, start)
    }

    fn new(content: Content, flow: bool, anchor: usize, start: Place) -> Self {
        Self { content, pending: None, after: Vec::new(), column: None, flow, anchor, start }
    }

    pub fn next_role(&self) -> Role {
        match (&self.content, &self.pending) {
            (Content::List(_), _) => Role::Item,
            (Content::Map(_), None) => Role::Key,
            (Content::Map(_), Some(_)) => Role::Value,
        }
    }

    pub fn begin_pair(&mut self, key: Box<[u8]>, place: Place) {
        self.pending = Some(Pending::Key(key, place));
    }

    pub fn begin_item(&mut self, place: Place) {
        self.pending = Some(Pending::Item(place));
    }

    /// Gives the pending key or item its value.
    pub fn complete(&mut self, value: Value) {
        match (&mut self.content, self.pending.take()) {
            (Content::Map(entries), Some(Pending::Key(key, place))) => {
                entries.push(Entry::Pair { key, place, value });
            }
            (Content::List(items), Some(Pending::Item(place))) => items.push(Item::Value { place, value }),
            // The parser gives every value a key or an item.
            _ => {}
        }
        for comment in std::mem::take(&mut self.after) {
            self.push(comment);
        }
    }

    /// Comments behind the last entry, once that is complete.
    pub fn comments_after(&mut self, comments: Vec<Comment>) {
        if self.pending.is_some() {
            self.after.extend(comments);
        } else {
            for comment in comments {
                self.push(comment);
            }
        }
    }

    /// A comment in front of the last entry, complete or not.
    pub fn comment_before(&mut self, comment: Comment) {
        if self.pending.is_some() {
            return self.push(comment);
        }
        match &mut self.content {
            Content::Map(entries) => {
                let last = entries.iter().rposition(|entry| matches!(entry, Entry::Pair { .. }));
                entries.insert(last.unwrap_or(entries.len()), Entry::Comment(comment));
            }
            Content::List(items) => {
                let last = items.iter().rposition(|item| matches!(item, Item::Value { .. }));
                items.insert(last.unwrap_or(items.len()), Item::Comment(comment));
            }
        }
    }

    /// A comment that stands behind a flow collection, the value of the last entry. In a list it is the item's; in
    /// a mapping go-yaml hands it to the collection, whose first entry it becomes.
    pub fn comment_on_flow_value(&mut self, mut comment: Comment) {
        if let Content::Map(entries) = &mut self.content {
            match entries.last_mut() {
                Some(Entry::Pair { value: Value::Map(map), .. }) => map.0.insert(0, Entry::Comment(comment)),
                Some(Entry::Pair { value: Value::List(list), .. }) => list.insert(0, Item::Comment(comment)),
                _ => entries.push(Entry::Comment(comment)),
            }
        } else {
            comment.inline = true;
            self.comment_before(comment);
        }
    }

    pub fn into_value(self) -> Value {
        match self.content {
            Content::Map(entries) => Value::Map(Map(entries)),
            Content::List(items) => Value::List(items),
        }
    }

    /// Where a key stands for the second time, and where it stood before.
    pub fn duplicate(&self) -> Option<(Place, Place)> {
        let Content::Map(entries) = &self.content else { return None };
        let mut keys: Vec<(&[u8], Place)> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Pair { key, place, .. } => Some((&**key, *place)),
                Entry::Comment(_) => None,
            })
            .collect();
        // Sorting rather than hashing: a file cannot be made that slows it down. It is stable, so equal keys stay in
        // the order of the file.
        keys.sort_by_key(|(key, _)| *key);
        keys.iter()
            .zip(keys.iter().skip(1))
            .filter(|((key, _), (next, _))| key == next)
            .map(|((_, first), (_, second))| (*second, *first))
            .min_by_key(|(second, _)| (second.line, second.column))
    }

    fn push(&mut self, comment: Comment) {
        match &mut self.content {
            Content::Map(entries) => entries.push(Entry::Comment(comment)),
            Content::List(items) => items.push(Item::Comment(comment)),
        }
    }
}
