#![no_main]

oracles::fuzz!("ini");
