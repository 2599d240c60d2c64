#![no_main]

oracles::fuzz!("arguments");
