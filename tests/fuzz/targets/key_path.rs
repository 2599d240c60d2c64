#![no_main]

oracles::fuzz!("key_path");
