#![no_main]

oracles::fuzz!("tampering");
