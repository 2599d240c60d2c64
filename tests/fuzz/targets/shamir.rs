#![no_main]

oracles::fuzz!("shamir");
