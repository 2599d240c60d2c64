//! Documents sealed for the occasion: what each part of the file format means, and what is refused.
//!
//! The numbers are those of the test list in the notes on the file format; what the vectors show is not repeated.

mod comments;
mod extraction;
mod flat;
mod json;
mod keys;
mod mac;
mod metadata;
mod mutation;
mod rules;
mod scalars;
mod values;
mod yaml;

use sops_activate::sops::cipher::ValueError;
use sops_activate::sops::document::{OpenError, ParseError};
use sops_activate::sops::format::Format;
use sops_activate::sops::tree::Place;

use crate::seal::{File, Public, Refused, decrypt, lossless};

/// The path and problem of the value that does not open.
#[track_caller]
fn bad_value(file: &File) -> (String, ValueError) {
    match file.decrypt() {
        Err(Refused::Open(OpenError::Value { path, problem, .. })) => (path, problem),
        other => panic!("{other:?}"),
    }
}

/// The place and words of the syntax error.
#[track_caller]
fn syntax_error(format: Format, text: &str) -> (Place, String) {
    match decrypt_text(format, text) {
        Err(Refused::Parse(ParseError::Syntax(error))) => (error.place, error.problem),
        other => panic!("{other:?}"),
    }
}

fn decrypt_text(format: Format, text: &str) -> Result<String, Refused> {
    decrypt(format, text.as_bytes(), &Public).map(lossless)
}
