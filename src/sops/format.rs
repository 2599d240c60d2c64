//! The five file formats of sops: reading a file into trees and printing trees, byte for byte as sops does.

use super::tree::{Map, Place};
use crate::secret::SecretBytes;

pub mod dotenv;
pub mod ini;
pub mod json;
pub mod number;
pub mod output;
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

/// Why a file could not be read. Never holds text of the file: what does not parse may be a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
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
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
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
    pub fn emit(self, documents: &[Map], source: &[u8]) -> Result<SecretBytes, EmitError> {
        todo!()
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
