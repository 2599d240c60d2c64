//! The tree of a document: what the readers of the five formats produce and what the emitters print.
//!
//! Order, duplicate keys and comments are kept, because the MAC, the printed bytes and the comment rules depend on
//! them. Strings are bytes: a sops value need not be UTF-8. There is no `Debug`: after decryption the tree holds
//! secrets.

use super::time::Time;
use crate::secret::SecretBytes;

/// A place in the encrypted file, for messages. Lines and columns count from 1; columns count characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

/// The bytes of a string, either where they lie in the document's own buffer or as a copy.
///
/// A span costs nothing to make and lets the document be decrypted in place, so a value of 100 MB is never held
/// twice. A reader makes a copy only where the text in the file is not the value (escapes, folding, aliases).
pub enum Text {
    /// `start..start + len` of the buffer that the tree was read from. No two spans of a tree overlap.
    Span {
        start: usize,
        len: usize,
    },
    Owned(SecretBytes),
}

impl Text {
    #[must_use]
    pub fn owned(bytes: Vec<u8>) -> Self {
        Self::Owned(SecretBytes::new(bytes))
    }

    /// The bytes, given the buffer that the tree was read from. A span outside of it is empty (it cannot happen:
    /// readers make spans of the buffer itself).
    #[must_use]
    pub fn bytes<'a>(&'a self, source: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Span { start, len } => source.get(*start..start.saturating_add(*len)).unwrap_or_default(),
            Self::Owned(bytes) => bytes.expose(),
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Span { len, .. } => *len,
            Self::Owned(bytes) => bytes.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One comment, without the character that introduces it. In YAML and dotenv one line; in INI it may have several.
pub struct Comment {
    pub text: Text,
    /// YAML: it stands on the line of the value that follows it in the tree.
    pub inline: bool,
}

/// A mapping, in document order. Duplicate keys are possible in JSON, dotenv and later YAML documents.
#[derive(Default)]
pub struct Map(pub Vec<Entry>);

pub enum Entry {
    Comment(Comment),
    Pair { key: Box<[u8]>, place: Place, value: Value },
}

pub enum Item {
    Comment(Comment),
    Value { place: Place, value: Value },
}

pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// A YAML integer above `i64::MAX`. sops refuses to walk one; it is kept so that the error can say where.
    Unsigned(u64),
    Float(f64),
    Time(Time),
    String(Text),
    List(Vec<Item>),
    Map(Map),
}

impl Value {
    /// The name of the type, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Unsigned(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Time(_) => "a time",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Map {
    /// Keys and values, without the comments.
    pub fn pairs(&self) -> impl DoubleEndedIterator<Item = (&[u8], &Value)> {
        self.0.iter().filter_map(|entry| match entry {
            Entry::Pair { key, value, .. } => Some((&**key, value)),
            Entry::Comment(_) => None,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
