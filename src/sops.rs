//! The sops file format: reading documents in all five formats, recovering the data key, decrypting and verifying
//! the MAC, and printing plaintext byte for byte as `sops decrypt` does.
//!
//! Nothing here knows of manifests or does I/O; this module could be a crate of its own.

pub mod cipher;
pub mod data_key;
pub mod document;
pub mod flatten;
pub mod format;
pub mod go_regex;
pub mod key_path;
pub mod metadata;
pub mod rules;
pub mod shamir;
pub mod time;
pub mod tree;
