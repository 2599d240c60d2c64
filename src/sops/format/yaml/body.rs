//! Mappings and lists seen alike: nodes with comments in between.

use crate::sops::tree::{Comment, Entry, Item, Value};

pub type Comments<'a> = Vec<&'a Comment>;

/// The entries of a mapping or the items of a list.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    Map(&'a [Entry]),
    List(&'a [Item]),
}

pub enum Part<'a> {
    Comment(&'a Comment),
    Node(Option<&'a [u8]>, &'a Value),
}

impl<'a> Body<'a> {
    pub fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Map(map) => Some(Self::Map(&map.0)),
            Value::List(items) => Some(Self::List(items)),
            _ => None,
        }
    }

    pub fn part(self, index: usize) -> Option<Part<'a>> {
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

    pub fn last_node(self) -> Option<usize> {
        match self {
            Self::Map(entries) => entries.iter().rposition(|entry| matches!(entry, Entry::Pair { .. })),
            Self::List(items) => items.iter().rposition(|item| matches!(item, Item::Value { .. })),
        }
    }

    /// The comments before the first node, without those on its line; all of them when there is no node.
    pub fn leading(self) -> Comments<'a> {
        let (mut full, inline) = self.comments_from(0);
        if self.last_node().is_none() {
            full.extend(inline);
        }
        full
    }

    /// The comments after the node at `last`.
    pub fn trailing(self, last: usize) -> Comments<'a> {
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
