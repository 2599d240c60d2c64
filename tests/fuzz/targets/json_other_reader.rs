#![no_main]

oracles::fuzz!("json_other_reader");
