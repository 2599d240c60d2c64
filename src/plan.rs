//! The manifest made usable.
pub mod access;
pub mod name;
