#![no_main]

oracles::fuzz!("manifest");
