//! The integration tests, in one binary.

mod command;
mod fixtures;
mod layers;
mod leaks;
mod machine;
mod transcripts;
mod vectors;
