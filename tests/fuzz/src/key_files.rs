//! Files with private keys: age identity files and ssh keys. Whatever is in them, they are read or told to be unusable
//! in words that hold none of their text.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use sops_activate::keys::{Environment, Keyring, Sources};
use sops_activate::secret::SecretBytes;

/// Where a file with keys stands.
const PREFIX: &str = "/dev/shm/sops-activate-fuzz-";

pub fn identities(data: &[u8]) {
    let keyring = Keyring::collect(&Sources {
        environment: Environment { age_key: Some(SecretBytes::from(data)), ..Environment::default() },
        ..Sources::default()
    });
    check(&keyring, data);
}

pub fn ssh_keys(data: &[u8]) {
    // In memory, and one for all inputs: the keyring reads files.
    static PATH: LazyLock<PathBuf> =
        LazyLock::new(|| PathBuf::from(format!("{PREFIX}{}", std::process::id())));
    File::create(&*PATH).unwrap().write_all(data).unwrap();
    let path = || vec![PATH.clone()];
    let keyring =
        Keyring::collect(&Sources { age_ssh_key_paths: path(), ssh_key_paths: path(), ..Sources::default() });
    std::fs::remove_file(&*PATH).unwrap();
    check(&keyring, data);
}

fn check(keyring: &Keyring, text: &[u8]) {
    let mut messages = String::new();
    for skipped in keyring.skipped() {
        messages.push_str(&skipped.to_string());
    }
    for key in keyring.keys() {
        assert!(!key.recipients.is_empty());
        for recipient in &key.recipients {
            assert!(recipient.is_ascii() && !recipient.contains("SECRET"));
        }
    }
    // Names of the program's own, which have capitals.
    let names = [PREFIX, "SOPS_AGE_KEY", "Ed25519", "ECDSA", "RSA", "DSA"];
    let messages = names.iter().fold(messages, |messages, name| messages.replace(name, ""));
    // Twelve bytes in a row would be too much, unless they are words or line numbers of the program itself; what a key
    // is written in has capitals among any few of those.
    let own = ["AGE-SECRET-KEY-", "AGE-PLUGIN-", "PRIVATE KEY", "PUBLIC KEY", "age", "ssh", "SSH", "identit"];
    let told: BTreeSet<&[u8]> = messages.as_bytes().windows(12).collect();
    for window in text.windows(12).filter(|window| told.contains(window)) {
        let word = String::from_utf8_lossy(window);
        let is_prose =
            window.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9') || b" ,:;'-".contains(byte));
        assert!(is_prose || own.iter().any(|own| word.contains(own)), "told: {messages}");
    }
}
