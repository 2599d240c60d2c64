//! The sops file format: reading documents in all five formats, recovering the data key, decrypting and verifying
//! the MAC, and printing plaintext byte for byte as `sops decrypt` does.
//!
//! Nothing here knows of manifests or does I/O; this module could be a crate of its own.

pub mod data_key;
pub mod format;
pub mod time;
pub mod tree;
