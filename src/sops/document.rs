//! One sops file, from the encrypted text to verified plaintext.
//!
//! [`Document<Sealed>`] is what was read; [`Document::open`] consumes it, decrypts every value in place and verifies
//! the MAC, and is the only way to a [`Document<Opened>`], the only one that gives out values.

use sha2::{Digest as _, Sha512};

use super::cipher::{Cipher, Type, ValueError};
use super::data_key::DataKey;
use super::flatten::{self, FlattenError};
use super::format::{EmitError, Format, SyntaxError, json, number, yaml};
use super::key_path::{FindError, Index, KeyPath};
use super::metadata::{Metadata, MetadataError};
use super::rules::Tracker;
use super::time::Time;
use super::tree::{Comment, Entry, Item, Map, Place, Text, Value};
use crate::secret::{Plaintext, SecretBytes};

/// The state of a document whose values are still encrypted.
pub struct Sealed {
    /// What it takes to open it. It goes then: rules are automata and keys are lists, of whatever size the file asks for,
    /// and all documents of a plan are open at once.
    metadata: Metadata,
}
/// The state of a document whose values are plaintext and whose MAC was verified.
pub struct Opened;

pub struct Document<State> {
    format: Format,
    /// The file's text. Opening decrypts the values inside of it.
    source: SecretBytes,
    branches: Vec<Map>,
    state: State,
}

/// Why a file is not a sops document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error("its 'sops' metadata cannot be read: {0}")]
    Flatten(#[from] FlattenError),
}

/// Why a document does not open although its data key is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A value, named by its path in the document.
    #[error("the value of '{path}' (line {}): {problem}", place.line)]
    Value { path: String, place: Place, problem: ValueError },
    #[error("it has no MAC")]
    MacMissing,
    #[error("its MAC cannot be decrypted: {0}")]
    Mac(ValueError),
    #[error("its MAC does not match its values")]
    MacMismatch,
}

/// Why a value cannot be installed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("the key '{0}' is null, which has no text")]
    Null(String),
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// A key as it may be shown: its name and where it stands, and nothing of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlace {
    pub name: String,
    /// What the format writes around the name, with a stand-in for the value.
    pub around: (&'static str, &'static str),
    pub place: Place,
    /// How many levels of the path lead to it.
    pub levels: usize,
}

/// What YAML writes before and after a key.
enum Quote {
    None,
    Single,
    Double,
}

impl<State> Document<State> {
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// For looking up many keys in the first (usually only) document of the file.
    #[must_use]
    pub fn index(&self) -> Index<'_> {
        static EMPTY: Map = Map(Vec::new());
        Index::new(self.branches.first().unwrap_or(&EMPTY))
    }

    /// Checks that there is something to install under a key, which can be told while it is still encrypted.
    ///
    /// # Errors
    /// When there is no such value, or it is null.
    pub fn locate(&self, key: &KeyPath) -> Result<(), PickError> {
        self.locate_in(&self.index(), key)
    }

    /// The same, for one of many keys. `index` is of this document.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub fn locate_in(&self, index: &Index<'_>, key: &KeyPath) -> Result<(), PickError> {
        match key.find_in(index)? {
            Value::Null => Err(PickError::Null(key.as_str().to_owned())),
            _ => Ok(()),
        }
    }
}

impl Document<Sealed> {
    /// Reads a sops file.
    ///
    /// # Errors
    /// When it is not a file of this format, or holds no usable metadata.
    pub fn parse(format: Format, source: SecretBytes) -> Result<Self, ParseError> {
        let source = if format == Format::Yaml { yaml::transcode(source)? } else { source };
        let mut branches = format.read(source.expose())?;
        let block = take_metadata(format, &mut branches, source.expose())?;
        let metadata = Metadata::from_node(&block)?;
        Ok(Self { format, source, branches, state: Sealed { metadata } })
    }

    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.state.metadata
    }

    /// Where the key stands, or as much of its path as there is. For messages: it looks through the tree again.
    #[must_use]
    pub fn place_of(&self, key: &KeyPath) -> Option<KeyPlace> {
        let nearest = key.nearest(self.branches.first()?)?;
        let is_container = matches!(nearest.value, Value::Map(_) | Value::List(_));
        let is_encrypted = match nearest.value {
            Value::String(text) => text.bytes(self.source.expose()).starts_with(b"ENC["),
            _ => false,
        };
        let quote = self.quote_at(nearest.place);
        let around = match (self.format, is_container, is_encrypted) {
            (Format::Yaml, true, _) => match quote {
                Quote::None => ("", ":"),
                Quote::Single => ("'", "':"),
                Quote::Double => ("\"", "\":"),
            },
            (Format::Yaml, false, true) => match quote {
                Quote::None => ("", ": ENC[…]"),
                Quote::Single => ("'", "': ENC[…]"),
                Quote::Double => ("\"", "\": ENC[…]"),
            },
            (Format::Yaml, false, false) => match quote {
                Quote::None => ("", ": …"),
                Quote::Single => ("'", "': …"),
                Quote::Double => ("\"", "\": …"),
            },
            (Format::Json | Format::Binary, _, true) => ("\"", "\": ENC[…]"),
            (Format::Json | Format::Binary, ..) => ("\"", "\": …"),
            (Format::Dotenv, _, true) => ("", "=ENC[…]"),
            (Format::Dotenv, ..) => ("", "=…"),
            (Format::Ini, true, _) => ("[", "]"),
            (Format::Ini, false, true) => ("", " = ENC[…]"),
            (Format::Ini, false, false) => ("", " = …"),
        };
        let name = String::from_utf8_lossy(nearest.name).into_owned();
        Some(KeyPlace { name, around, place: nearest.place, levels: nearest.depth + 1 })
    }

    /// How the key that begins at a place is quoted. Of the file's text nothing else gets out.
    fn quote_at(&self, place: Place) -> Quote {
        let index = |number: u32| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let line =
            self.source.expose().split(|byte| *byte == b'\n').nth(index(place.line)).unwrap_or_default();
        match String::from_utf8_lossy(line).chars().nth(index(place.column)) {
            Some('\'') => Quote::Single,
            Some('"') => Quote::Double,
            _ => Quote::None,
        }
    }

    /// Decrypts every value and verifies the MAC over them.
    ///
    /// # Errors
    /// With the path of the first value that does not open, or when the MAC does not match. Nothing is given out
    /// then.
    pub fn open(self, key: DataKey) -> Result<Document<Opened>, OpenError> {
        let Self { format, mut source, mut branches, state: Sealed { metadata } } = self;
        let mut mac = Sha512::new();
        if metadata.mac_only_encrypted {
            // sops' marker for such files: the SHA-256 of "sops".
            mac.update([
                0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe,
                0x0b, 0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2,
                0x7d, 0x69,
            ]);
        }
        let mut opener = Opener {
            source: source.expose_mut(),
            cipher: Cipher::new(key),
            rules: Tracker::new(&metadata.rule),
            mac_only_encrypted: metadata.mac_only_encrypted,
            aad: Vec::new(),
            path: Vec::new(),
            mac,
        };
        for branch in &mut branches {
            opener.map(branch)?;
        }
        let Opener { cipher, mac, .. } = opener;
        verify_mac(&cipher, &metadata, &format!("{:X}", mac.finalize()))?;
        Ok(Document { format, source, branches, state: Opened })
    }
}

impl Document<Opened> {
    /// The whole file as `sops decrypt` prints it.
    ///
    /// # Errors
    /// When the plaintext cannot be expressed in the file's format.
    pub fn emit(&self) -> Result<Plaintext<'_>, EmitError> {
        self.format.emit(&self.branches, self.source.expose())
    }

    /// One value: a string as its bytes, another scalar as its text, a mapping or list as a document of the file's
    /// format.
    ///
    /// # Errors
    /// When there is no such value, or it is null.
    pub fn pick(&self, key: &KeyPath) -> Result<Plaintext<'_>, PickError> {
        self.pick_in(&self.index(), key)
    }

    /// The same, for one of many values. `index` is of this document.
    ///
    /// # Errors
    /// As [`pick`](Self::pick).
    pub fn pick_in<'d>(&'d self, index: &Index<'d>, key: &KeyPath) -> Result<Plaintext<'d>, PickError> {
        let source = self.source.expose();
        let is_json = matches!(self.format, Format::Json | Format::Binary);
        Ok(match key.find_in(index)? {
            Value::String(text) => Plaintext::Borrowed(text.bytes(source)),
            Value::Null => return Err(PickError::Null(key.as_str().to_owned())),
            // In JSON a time is a string; its text is what is inside of the quotes.
            Value::Time(time) => Plaintext::Owned(SecretBytes::new(time.to_rfc3339_nano().into_bytes())),
            value if is_json => Plaintext::Owned(json::emit_value(value, source)?),
            value => Plaintext::Owned(yaml::emit_value(value, source)),
        })
    }
}

/// Takes the `sops` entry out of the documents: only the first one's counts, the others' are dropped.
fn take_metadata(format: Format, branches: &mut [Map], source: &[u8]) -> Result<flatten::Node, ParseError> {
    let mut found = Vec::new();
    for (index, branch) in branches.iter_mut().enumerate() {
        let entries = std::mem::take(&mut branch.0);
        for entry in entries {
            match entry {
                Entry::Pair { key, place, value } if is_metadata(format, &key) => {
                    if index == 0 {
                        found.push((key, place, value));
                    }
                }
                other => branch.0.push(other),
            }
        }
    }
    if found.is_empty() {
        return Err(MetadataError::NotFound.into());
    }
    if format == Format::Dotenv {
        let pairs = found.iter().map(|(key, _, value)| {
            let name = key.strip_prefix(b"sops_").unwrap_or(key);
            (String::from_utf8_lossy(name), scalar(value, source))
        });
        return Ok(flatten::unflatten(pairs)?);
    }
    let [(_, _, block)] = found.as_slice() else { return Err(MetadataError::Duplicate.into()) };
    let Value::Map(block) = block else { return Err(MetadataError::NotAMapping.into()) };
    if format == Format::Ini {
        let pairs = block.pairs().map(|(key, value)| {
            (String::from_utf8_lossy(key), flatten::unescape_newlines(&scalar(value, source)))
        });
        return Ok(flatten::unflatten(pairs)?);
    }
    if block.pairs().next().is_none() && format != Format::Yaml {
        return Err(MetadataError::NotFound.into());
    }
    Ok(node(block, source))
}

fn is_metadata(format: Format, key: &[u8]) -> bool {
    match format {
        Format::Dotenv => key.starts_with(b"sops_"),
        _ => key == b"sops",
    }
}

/// Metadata as text, whatever types the file gave it: sops reads it weakly typed.
fn node(map: &Map, source: &[u8]) -> flatten::Node {
    fn convert(value: &Value, source: &[u8]) -> Option<flatten::Node> {
        Some(match value {
            Value::Null => return None,
            Value::Map(map) => node(map, source),
            Value::List(items) => flatten::Node::List(
                items
                    .iter()
                    .filter_map(|item| match item {
                        Item::Value { value, .. } => convert(value, source),
                        Item::Comment(_) => None,
                    })
                    .collect(),
            ),
            scalar_value => flatten::Node::Scalar(scalar(scalar_value, source)),
        })
    }
    let pairs = map.pairs().filter_map(|(key, value)| {
        Some((String::from_utf8_lossy(key).into_owned(), convert(value, source)?))
    });
    flatten::Node::Map(pairs.collect())
}

fn scalar(value: &Value, source: &[u8]) -> String {
    match value {
        Value::Bool(bool) => u8::from(*bool).to_string(),
        Value::Int(int) => int.to_string(),
        Value::Unsigned(int) => int.to_string(),
        Value::Float(float) => number::fixed(*float),
        Value::Time(time) => time.to_rfc3339_nano(),
        Value::String(text) => String::from_utf8_lossy(text.bytes(source)).into_owned(),
        Value::Null | Value::List(_) | Value::Map(_) => String::new(),
    }
}

fn verify_mac(cipher: &Cipher, metadata: &Metadata, computed: &str) -> Result<(), OpenError> {
    if metadata.mac.is_empty() {
        return Err(OpenError::MacMissing);
    }
    let mut stored = SecretBytes::from(metadata.mac.as_bytes());
    let (range, kind) = cipher
        .open_in_place(stored.expose_mut(), metadata.last_modified.as_bytes())
        .map_err(OpenError::Mac)?;
    // Both sides are authenticated, so the comparison tells nobody anything.
    if kind == Type::Str && stored.expose().get(range) == Some(computed.as_bytes()) {
        Ok(())
    } else {
        Err(OpenError::MacMismatch)
    }
}

/// The walk that decrypts a document in place and feeds the MAC, in document order.
struct Opener<'d> {
    source: &'d mut [u8],
    cipher: Cipher,
    rules: Tracker<'d>,
    mac_only_encrypted: bool,
    /// The keys on the path, each followed by a colon; list indexes leave no trace.
    aad: Vec<u8>,
    /// The path for messages: keys and list indexes.
    path: Vec<String>,
    mac: Sha512,
}

/// What an encrypted text turned out to hold.
enum Plain {
    Value(Value),
    Comment(Text),
}

impl Opener<'_> {
    fn map(&mut self, map: &mut Map) -> Result<(), OpenError> {
        self.rules.enter_container();
        for entry in &mut map.0 {
            match entry {
                Entry::Comment(comment) => {
                    if let Some(Plain::Value(Value::String(text))) = self.comment(comment)? {
                        // An old or lenient writer's comment of type str: still a comment here.
                        comment.text = text;
                    }
                }
                Entry::Pair { key, place, value } => {
                    let outer = self.aad.len();
                    self.aad.extend_from_slice(key);
                    self.aad.push(b':');
                    self.path.push(String::from_utf8_lossy(key).into_owned());
                    self.rules.enter_key(key);
                    if let Some(text) = self.value(value, *place)? {
                        drop(text);
                        return Err(self.refuse(*place, ValueError::CommentAsValue));
                    }
                    self.rules.leave_key();
                    self.path.pop();
                    self.aad.truncate(outer);
                    self.rules.value_passed();
                }
            }
        }
        self.rules.leave_container();
        Ok(())
    }

    fn list(&mut self, items: &mut [Item]) -> Result<(), OpenError> {
        self.rules.enter_container();
        for (index, item) in items.iter_mut().enumerate() {
            match item {
                Item::Comment(comment) => {
                    // sops turns a list's comment that decrypts to a string, such as an empty one, into an item.
                    if let Some(Plain::Value(value)) = self.comment(comment)? {
                        *item = Item::Value { place: Place::default(), value };
                    }
                }
                Item::Value { place, value } => {
                    self.path.push(index.to_string());
                    let comment = self.value(value, *place)?;
                    self.path.pop();
                    match comment {
                        Some(text) => {
                            self.rules.comment(text.bytes(self.source));
                            *item = Item::Comment(Comment { text, inline: false });
                        }
                        None => self.rules.value_passed(),
                    }
                }
            }
        }
        self.rules.leave_container();
        Ok(())
    }

    /// Opens a value in place. Returns the text instead when the value turns out to be a comment, which is how sops
    /// stores the comments of lists.
    fn value(&mut self, value: &mut Value, place: Place) -> Result<Option<Text>, OpenError> {
        let encrypted = match value {
            Value::Null => return Ok(None),
            Value::Map(map) => return self.map(map).map(|()| None),
            Value::List(items) => return self.list(items).map(|()| None),
            _ => self.rules.value_is_encrypted(),
        };
        if encrypted {
            let Value::String(text) = value else {
                return Err(self.refuse(place, ValueError::NotString(value.kind())));
            };
            if !text.is_empty() {
                let text = std::mem::replace(text, Text::owned(Vec::new()));
                match self.text(text).map_err(|problem| self.refuse(place, problem))? {
                    Plain::Value(opened) => *value = opened,
                    Plain::Comment(text) => return Ok(Some(text)),
                }
            }
        } else if let Value::Unsigned(_) = value {
            return Err(self.refuse(place, ValueError::Unsigned));
        }
        if encrypted || !self.mac_only_encrypted {
            self.hash(value);
        }
        Ok(None)
    }

    /// Makes a comment active and opens it if it is encrypted. One that does not open stays as it is, as in sops:
    /// comments move when people edit, and then their path no longer fits. `Some` is a text of type `str`.
    fn comment(&mut self, comment: &mut Comment) -> Result<Option<Plain>, OpenError> {
        self.rules.comment(comment.text.bytes(self.source));
        if !self.rules.comment_is_encrypted() {
            return Ok(None);
        }
        if comment.text.is_empty() {
            return Ok(Some(Plain::Value(Value::String(Text::owned(Vec::new())))));
        }
        // A copy, so that a text that does not open is still there.
        let copy = Text::owned(comment.text.bytes(self.source).to_vec());
        match self.text(copy) {
            Err(_) => Ok(None),
            Ok(Plain::Comment(text)) => {
                comment.text = text;
                comment.inline = false;
                Ok(None)
            }
            Ok(Plain::Value(Value::String(text))) => Ok(Some(Plain::Value(Value::String(text)))),
            Ok(Plain::Value(_)) => Err(self.refuse(Place::default(), ValueError::Plaintext("a comment"))),
        }
    }

    fn text(&mut self, text: Text) -> Result<Plain, ValueError> {
        let aad: &[u8] = if self.aad.is_empty() { b":" } else { &self.aad };
        let mut owned;
        let (buffer, start) = match text {
            Text::Span { start, len } => {
                (self.source.get_mut(start..start + len).ok_or(ValueError::NotEncrypted)?, Some(start))
            }
            Text::Owned(bytes) => {
                owned = bytes;
                (owned.expose_mut(), None)
            }
        };
        let (range, kind) = self.cipher.open_in_place(buffer, aad)?;
        let plain = buffer.get(range.clone()).unwrap_or_default();
        let as_text = || std::str::from_utf8(plain).ok();
        Ok(Plain::Value(match kind {
            Type::Str | Type::Comment => {
                let text = match start {
                    Some(start) => Text::Span { start: start + range.start, len: range.len() },
                    None => Text::owned(plain.to_vec()),
                };
                match kind {
                    Type::Comment => return Ok(Plain::Comment(text)),
                    _ => Value::String(text),
                }
            }
            Type::Int => {
                Value::Int(as_text().and_then(go_int).ok_or(ValueError::Plaintext("an integer of 64 bits"))?)
            }
            Type::Float => {
                Value::Float(as_text().and_then(number::parse_go).ok_or(ValueError::Plaintext("a float"))?)
            }
            Type::Bool => match plain {
                b"1" | b"t" | b"T" | b"TRUE" | b"true" | b"True" => Value::Bool(true),
                b"0" | b"f" | b"F" | b"FALSE" | b"false" | b"False" => Value::Bool(false),
                _ => return Err(ValueError::Plaintext("a boolean")),
            },
            Type::Time => Value::Time(
                as_text().and_then(Time::parse_rfc3339).ok_or(ValueError::Plaintext("an RFC 3339 time"))?,
            ),
        }))
    }

    /// sops-format 5.2.
    fn hash(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.mac.update(text.bytes(self.source)),
            Value::Bool(bool) => self.mac.update(if *bool { "True" } else { "False" }),
            Value::Int(int) => self.mac.update(int.to_string()),
            Value::Float(float) => self.mac.update(number::fixed(*float)),
            Value::Time(time) => self.mac.update(time.to_rfc3339_nano()),
            Value::Null | Value::Unsigned(_) | Value::List(_) | Value::Map(_) => {}
        }
    }

    fn refuse(&self, place: Place, problem: ValueError) -> OpenError {
        OpenError::Value { path: self.path.join("/"), place, problem }
    }
}

/// Go's `strconv.Atoi`, whose syntax is that of Rust: a sign or none, and decimal digits.
fn go_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests;
