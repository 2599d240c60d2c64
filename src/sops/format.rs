//! The five file formats of sops: reading a file into trees and printing trees, byte for byte as sops does.

use super::tree::{Map, Place, Value};
use crate::secret::Plaintext;

pub mod dotenv;
pub mod ini;
pub mod json;
pub mod number;
pub mod output;
mod scalar;
pub mod yaml;

/// How a sops file is written (the `format` of a secret in the manifest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Yaml,
    Json,
    Binary,
    Dotenv,
    Ini,
}

/// Containers inside containers. sops has no limit but its parsers' (10,000); real files have fewer than ten
/// levels, and every reader and walker here recurses, so the limit keeps a hostile file from exhausting the stack.
pub const MAX_DEPTH: usize = 256;

/// Entries, items and comments of one file. A tree takes up to a hundred times the memory of a text that is made for it
/// (`[0,0,0…`); nobody's secrets are a million.
pub const MAX_NODES: usize = 1_000_000;

/// Counts what a reader makes of a file.
struct Nodes(usize);

impl Nodes {
    fn new() -> Self {
        Self(MAX_NODES)
    }

    /// One more, which begins at `place`.
    fn add(&mut self, place: Place) -> Result<(), SyntaxError> {
        let too_many = || SyntaxError::new(place, format!("more than {MAX_NODES} values and comments"));
        self.0 = self.0.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }
}

/// Why a file could not be read. Never holds text of the file: what does not parse may be a secret.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {}, column {}: {problem}", place.line, place.column)]
pub struct SyntaxError {
    pub place: Place,
    /// What is wrong, in words, without content.
    pub problem: String,
}

impl SyntaxError {
    pub fn new(place: Place, problem: impl Into<String>) -> Self {
        Self { place, problem: problem.into() }
    }
}

/// Why a tree cannot be printed in its format.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EmitError {
    #[error("the file holds no value named 'data'")]
    NoBinaryData,
    #[error("the value named 'data' is not a string")]
    BinaryDataNotString,
    #[error("the value of '{key}' is {kind}, which {format} cannot hold")]
    NotRepresentable { key: String, kind: &'static str, format: &'static str },
}

impl Format {
    /// Reads a file into its documents (one, or several in YAML), the `sops` metadata still among the entries.
    ///
    /// # Errors
    /// With the place in the file, when `source` is not a file of this format.
    pub fn read(self, source: &[u8]) -> Result<Vec<Map>, SyntaxError> {
        match self {
            Self::Yaml => yaml::read(source),
            Self::Json | Self::Binary => json::read(source).map(|map| vec![map]),
            Self::Dotenv => dotenv::read(source).map(|map| vec![map]),
            Self::Ini => ini::read(source).map(|map| vec![map]),
        }
    }

    /// Prints documents as `sops decrypt` does. `source` is the buffer that the spans of the tree point into.
    ///
    /// # Errors
    /// When the tree holds something that the format cannot express.
    pub fn emit<'a>(self, documents: &'a [Map], source: &'a [u8]) -> Result<Plaintext<'a>, EmitError> {
        // Only YAML has more than one document, or none.
        let first = || documents.first().ok_or(EmitError::NoBinaryData);
        Ok(match self {
            Self::Yaml => Plaintext::Owned(yaml::emit(documents, source)?),
            Self::Json => Plaintext::Owned(json::emit(first()?, source)?),
            Self::Dotenv => Plaintext::Owned(dotenv::emit(first()?, source)?),
            Self::Ini => Plaintext::Owned(ini::emit(first()?, source)?),
            // The content of a binary file is the string under the first `data`, wherever it lies.
            Self::Binary => match first()?.pairs().find(|(key, _)| *key == b"data") {
                Some((_, Value::String(text))) => Plaintext::Borrowed(text.bytes(source)),
                Some(_) => return Err(EmitError::BinaryDataNotString),
                None => return Err(EmitError::NoBinaryData),
            },
        })
    }

    /// The format of this name, as the manifest uses it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Yaml, Self::Json, Self::Binary, Self::Dotenv, Self::Ini]
            .into_iter()
            .find(|one| one.name() == name)
    }

    /// The format that sops takes a file of this extension for.
    #[must_use]
    pub fn of_extension(extension: &str) -> Self {
        match extension {
            "yaml" | "yml" => Self::Yaml,
            "json" => Self::Json,
            "env" => Self::Dotenv,
            "ini" => Self::Ini,
            _ => Self::Binary,
        }
    }

    /// The name that the manifest uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Binary => "binary",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_made_to_fill_the_memory_is_refused() {
        for (format, head, one) in [
            (Format::Json, "{\"a\":[0", ",0"),
            (Format::Yaml, "a: [0", ",0"),
            (Format::Dotenv, "", "=\n"),
            (Format::Ini, "", "a=\n"),
        ] {
            let source = [head, &one.repeat(MAX_NODES + 1)].concat();
            let error = format.read(source.as_bytes()).err().unwrap();
            assert_eq!(error.problem, "more than 1000000 values and comments", "{}", format.name());
        }
    }
}
