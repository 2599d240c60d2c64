#![no_main]

oracles::fuzz!("go_regex");
