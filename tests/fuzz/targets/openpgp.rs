#![no_main]

oracles::fuzz!("openpgp");
