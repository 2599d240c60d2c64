//! The integration tests, in one binary, so that they link once. Those that mount need root and skip themselves,
//! saying so, without it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what fails in a test is to stop it"
)]

mod activate;
mod command;
mod compat;
mod concurrency;
mod crash;
mod doctor;
mod documented;
mod documents;
mod dummies;
mod example;
mod fixtures;
mod gnupg;
mod guide;
mod hostile;
mod key_commands;
mod layers;
mod leaks;
mod links;
mod machine;
mod memory;
mod mount_fallback;
mod namespace;
mod nix_module;
mod partial;
mod sandbox;
mod scenarios;
mod seal;
mod selection;
mod server;
mod store;
mod tools;
mod transcripts;
mod units;
mod user_mode;
mod vectors;
