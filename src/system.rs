//! The machine behind one door: every call that changes or asks the running system is below this module.
//!
//! Nothing here decides what is wanted; the core did that. Every function takes the path or descriptor that it works
//! under, so a temporary directory can stand for `/`. Warnings and failures are values, told by whoever called; only
//! a clearing-up that fails on the way out of another failure goes to the debug log.

pub mod accounts;
pub mod confined;
pub mod copy;
mod directory;
pub mod file;
pub mod generation;
pub mod link;
pub mod live;
pub mod lock;
pub mod memory;
pub mod mount;
pub mod mount_table;
pub mod paths;
mod private;
pub mod process;
pub mod record;
pub mod remembered;
pub mod sandbox;
pub mod service;
pub mod store;
pub mod survey;
pub mod units;
pub mod untold;
pub mod walk;
pub mod workers;
