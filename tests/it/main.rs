//! The integration tests, in one binary, so that they link once. Those that mount need root and skip themselves,
//! saying so, without it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test is to stop it"
)]

mod command;
mod compat;
mod fixtures;
mod layers;
mod leaks;
mod machine;
mod namespace;
mod store;
mod transcripts;
mod vectors;
