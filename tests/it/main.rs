//! Tests that run against the real system: one binary, so that they link once. Those that mount need root and skip
//! themselves, saying so, without it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a test is to stop it"
)]

mod namespace;
mod store;
