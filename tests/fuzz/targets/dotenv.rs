#![no_main]

oracles::fuzz!("dotenv");
