#![no_main]

oracles::fuzz!("sops_ini");
