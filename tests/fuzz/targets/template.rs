#![no_main]

oracles::fuzz!("template");
