#![no_main]

oracles::fuzz!("core");
