#![no_main]

oracles::fuzz!("time");
