#![no_main]

oracles::fuzz!("ssh_keys");
