#![no_main]

oracles::fuzz!("age_identities");
