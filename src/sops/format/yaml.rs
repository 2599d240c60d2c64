//! YAML: reading and printing it as sops does, which is as go-yaml v3 does.
//!
//! Reading keeps order, comments and duplicate keys and expands aliases. It refuses what sops refuses, and also
//! what would cost time or memory out of proportion to the file. Printing is byte for byte that of `sops decrypt`.

mod alias;
mod body;
mod comments;
mod compose;
mod container;
mod emit;
mod encoding;
mod layout;
mod lines;
mod problem;
mod quote;
mod scalar;
mod style;

pub use encoding::transcode;

use super::{EmitError, SyntaxError};
use crate::secret::SecretBytes;
use crate::sops::tree::{Map, Place, Value};

/// Reads the documents of a file in UTF-8 (see [`transcode`]), the `sops` metadata still among the entries. An
/// empty file has no documents, an empty document is an empty mapping.
///
/// # Errors
/// With the place, when the file is not YAML, not made of mappings with string keys, has a key twice in its first
/// document, or goes beyond a limit.
pub fn read(source: &[u8]) -> Result<Vec<Map>, SyntaxError> {
    let (text, start) = encoding::text(source)?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let documents =
        compose::documents(source, text, start).map_err(|error| problem::explain_conflict(text, error))?;
    if documents.is_empty() {
        return Err(SyntaxError::new(Place { line: 1, column: 1 }, "it holds no document"));
    }
    Ok(documents)
}

/// Prints documents as `sops decrypt` does. `source` is the buffer that their spans point into.
///
/// # Errors
/// Never; YAML can hold every tree.
pub fn emit(documents: &[Map], source: &[u8]) -> Result<SecretBytes, EmitError> {
    Ok(emit::documents(documents, source))
}

/// Prints one value: a list or a mapping as `sops decrypt --extract` does, a scalar that is not a string as its text.
#[must_use]
pub fn emit_value(value: &Value, source: &[u8]) -> SecretBytes {
    emit::value(value, source)
}

#[cfg(test)]
mod tests;
