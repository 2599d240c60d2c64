#![no_main]

oracles::fuzz!("yaml_other_reader");
