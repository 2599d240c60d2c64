//! INI as sops knows it: the dialect of the go-ini library with repeated sections kept apart.
//!
//! A file is a mapping of section names to mappings of strings. The first section is always `DEFAULT`, for the keys
//! before any header; an explicit `[DEFAULT]` is a second one. The comment before a section header is the first
//! item of the section; the comment before a key stands *behind* the key. A comment is one item even if it has
//! several lines. A repeated key keeps its first position and takes the last value and the last comment. Comments
//! at the end of the file are lost.
//!
//! Nothing is interpolated (`%(name)s`), and keys without a value are refused.

mod emit;
mod read;

pub use emit::emit;
pub use read::read;

/// The section of the keys before the first header.
const DEFAULT_SECTION: &[u8] = b"DEFAULT";

/// `bytes` without the white space around it: the white space of Unicode, as go-ini trims it.
fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = white_space(bytes).and_then(|len| bytes.get(len..)) {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    let last = |bytes: &[u8]| {
        (1..=3).find_map(|len| {
            let start = bytes.len().checked_sub(len)?;
            (white_space(bytes.get(start..)?)? == len).then_some(start)
        })
    };
    while let Some(rest) = last(bytes).and_then(|end| bytes.get(..end)) {
        bytes = rest;
    }
    bytes
}

/// The length of the white space character that `bytes` begin with. They need not be UTF-8.
fn white_space(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\t'..=b'\r' | b' ', ..] => Some(1),
        [0xC2, 0x85 | 0xA0, ..] => Some(2),
        [0xE1, 0x9A, 0x80, ..]
        | [0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF, ..]
        | [0xE2, 0x81, 0x9F, ..]
        | [0xE3, 0x80, 0x80, ..] => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
