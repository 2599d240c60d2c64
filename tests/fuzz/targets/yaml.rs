#![no_main]

oracles::fuzz!("yaml");
