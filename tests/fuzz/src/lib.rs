//! What is fuzzed, and what must hold for every input.
//!
//! Each target is a function of bytes that returns, or panics where a promise is broken. `main.rs` hands it what LLVM's
//! fuzzer finds; `replay.rs` hands it the corpus, in the program's ordinary tests. So an oracle is
//! written once, and what it once found is tried on every run of the tests.

mod age_header;
mod arguments;
mod core;
mod documents;
mod input;
mod key_files;
mod key_path;
mod manifest;
mod openpgp;
mod originals;
mod other_readers;
mod regexes;
mod shamir;
mod tampering;
mod templates;
mod text_formats;
mod times;
mod trees;

use peak_alloc::PeakAlloc;
use sops_activate::sops::format::Format;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// One thing that is fuzzed.
#[derive(Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    run: fn(&[u8]),
    /// Bytes of heap that any input may cost.
    base: usize,
}

/// Bytes of heap that each byte of an input may cost at its peak, beside the target's base.
const FACTOR: usize = 512;

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, base: 4 << 20 }
}

pub const TARGETS: [Target; 24] = [
    target("age_header", age_header::run),
    target("age_identities", key_files::identities),
    target("arguments", arguments::run),
    target("core", core::run),
    target("dotenv", |data| text_formats::run(Format::Dotenv, data)),
    target("go_regex", regexes::run),
    target("ini", |data| text_formats::run(Format::Ini, data)),
    target("json", |data| text_formats::run(Format::Json, data)),
    target("json_other_reader", other_readers::json),
    target("key_path", key_path::run),
    target("manifest", manifest::run),
    target("openpgp", openpgp::run),
    target("shamir", shamir::run),
    target("sops_binary", |data| documents::run(Format::Binary, data)),
    target("sops_dotenv", |data| documents::run(Format::Dotenv, data)),
    target("sops_ini", |data| documents::run(Format::Ini, data)),
    target("sops_json", |data| documents::run(Format::Json, data)),
    target("sops_yaml", |data| documents::run(Format::Yaml, data)),
    target("ssh_keys", key_files::ssh_keys),
    // The input is a list of changes; what is read is the whole file, with what they repeat.
    Target { base: 64 << 20, ..target("tampering", tampering::run) },
    target("template", templates::run),
    target("time", times::run),
    target("yaml_other_reader", other_readers::yaml),
    target("yaml", |data| text_formats::run(Format::Yaml, data)),
];

impl Target {
    /// # Panics
    /// When there is no such target.
    pub fn named(name: &str) -> Self {
        TARGETS.into_iter().find(|target| target.name == name).unwrap()
    }

    /// # Panics
    /// When `data` breaks a promise of the target, or costs more memory than its size allows.
    pub fn run(&self, data: &[u8]) {
        // What is made once and kept is no cost of this input.
        originals::all();
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        (self.run)(data);
        let peak = HEAP.peak_usage().saturating_sub(before);
        let allowed = self.base + FACTOR * data.len();
        assert!(peak <= allowed, "{} bytes of input cost {peak} bytes of memory", data.len());
    }
}

/// The vectors and fixtures that open.
pub fn sealed_files() -> impl Iterator<Item = (Format, &'static [u8])> {
    originals::all().iter().map(|original| (original.format, original.source.as_slice()))
}
