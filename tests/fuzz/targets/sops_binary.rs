#![no_main]

oracles::fuzz!("sops_binary");
