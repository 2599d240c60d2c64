#![no_main]

oracles::fuzz!("json");
