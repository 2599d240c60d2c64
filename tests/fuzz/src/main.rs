//! What LLVM's fuzzer runs: the target that `FUZZ_TARGET` names.

#![no_main]

use std::env;
use std::sync::LazyLock;

use oracles::Target;

static TARGET: LazyLock<Target> =
    LazyLock::new(|| Target::named(&env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target")));

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET.run(data));
