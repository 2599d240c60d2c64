//! Puts sops-encrypted secrets in place on a NixOS server, at boot and on `nixos-rebuild switch`.
//!
//! The layers, from the bottom: words ([`secret`], [`diagnostic`]); the core, which turns values into values and
//! does no I/O ([`sops`], [`recipient`], [`manifest`], [`plan`], [`decrypted`]); the edge, which alone touches the machine
//! ([`keys`], [`system`], [`cli`]); [`run`] and [`check`], the acts in the order in which they happen; and the [`tools`]
//! beside them. Imports only go down. `docs/architecture.md` says why.

#![cfg_attr(
    test,
    allow(clippy::float_cmp, clippy::string_slice, clippy::unnecessary_wraps, reason = "tests may be blunt")
)]

#[cfg(all(feature = "unwiped", not(debug_assertions)))]
compile_error!("the feature `unwiped` is for one test, which builds without optimisation");

pub mod changes;
pub mod check;
pub mod cli;
pub mod decrypted;
pub mod diagnostic;
pub mod explain;
pub mod keys;
pub mod load;
pub mod log;
pub mod manifest;
pub mod notice;
pub mod outcome;
pub mod plan;
pub mod recipient;
pub mod run;
pub mod secret;
pub mod sops;
pub mod system;
pub mod template;
pub mod tools;
