//! `decrypt`: one sops file, or one value of it, on standard output; as JSON in a text, `docs/reference/json.md`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use super::{Verdict, print_bytes};
use crate::cli::Environment;
use crate::cli::tool::Decrypt;
use crate::decrypted;
use crate::diagnostic::{Diagnostic, Report};
use crate::keys::public;
use crate::keys::{Keyring, Sources};
use crate::load;
use crate::recipient::public_key::Kind;
use crate::secret::SecretBytes;
use crate::sops::document::{Document, Opened, PickError};
use crate::sops::format::Format;
use crate::sops::key_path::KeyPath;
use crate::system::file::read_regular;
use crate::system::survey;

/// The keys of a machine that has named none.
const HOST_KEYS: [&str; 2] = ["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_rsa_key"];
/// Bytes of an ssh key file at most.
const KEY_LIMIT: u64 = 1 << 20;

pub fn decrypt(asked: &Decrypt, environment: Environment) -> Result<Verdict, Report> {
    let extension = asked.file.extension().unwrap_or_default().to_string_lossy();
    let format = asked.format.unwrap_or_else(|| Format::of_extension(&extension));
    let keyring = Keyring::collect(&sources(asked, environment));
    let document = load::open_file(&asked.file, format, &keyring).map_err(|diagnostic| {
        if keyring.keys().next().is_none() && keyring.skipped().is_empty() {
            return diagnostic.help("name a key with --key-file or --ssh-key");
        }
        diagnostic
    })?;
    write(asked, &document)?;
    Ok(Verdict::Well)
}

fn write(asked: &Decrypt, document: &Document<Opened>) -> Result<(), Report> {
    let file = asked.file.display();
    let Some(key) = &asked.extract else {
        let whole =
            document.emit().map_err(|error| Diagnostic::new(format!("cannot print '{file}': {error}")))?;
        return print(asked, document.format(), whole.expose());
    };
    let value = document.pick(&KeyPath::new(key)).map_err(|error| {
        let diagnostic = Diagnostic::new(format!("cannot print a value of '{file}': {error}"));
        let diagnostic = match &error {
            PickError::Find(missing) => decrypted::explain_missing(diagnostic, "", missing),
            _ => diagnostic,
        };
        diagnostic.help("name a value with --extract as a secret's `key` does: 'database/password'")
    })?;
    print(asked, document.format(), value.expose())
}

fn print(asked: &Decrypt, format: Format, content: &[u8]) -> Result<(), Report> {
    if !asked.json {
        return print_bytes(content);
    }
    let encoded;
    let (encoding, content) = match str::from_utf8(content) {
        Ok(text) => ("utf-8", text),
        Err(_) => {
            encoded = base64(content).map_err(|error| not_printed(&error))?;
            // What base64 writes is ASCII.
            ("base64", str::from_utf8(encoded.expose()).unwrap_or_default())
        }
    };
    let path = asked.file.to_string_lossy();
    let key = asked.extract.as_deref();
    let answer = Answer { path: &path, format: format.name(), key, encoding, content };
    print_bytes(json(&answer).map_err(|error| not_printed(&error))?.expose())
}

fn not_printed(error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::new(format!("cannot print JSON: {error}"))
}

/// What was decrypted. There is no `Debug`: it would print it.
#[derive(Serialize)]
struct Answer<'a> {
    path: &'a str,
    format: &'static str,
    /// Of one value; none of a whole file.
    key: Option<&'a str>,
    /// Of the content: `utf-8`, or `base64` where it is something else.
    encoding: &'static str,
    content: &'a str,
}

fn base64(content: &[u8]) -> Result<SecretBytes, base64::EncodeSliceError> {
    // Longer than the address space: no buffer for it is asked for.
    let length =
        base64::encoded_len(content.len(), true).ok_or(base64::EncodeSliceError::OutputSliceTooSmall)?;
    let mut encoded = SecretBytes::new(vec![0; length]);
    BASE64.encode_slice(content, encoded.expose_mut())?;
    Ok(encoded)
}

/// Written twice: into nothing, to see how long it is, and into a buffer that need not grow.
fn json(answer: &Answer) -> serde_json::Result<SecretBytes> {
    let mut length = Length(1);
    serde_json::to_writer_pretty(&mut length, answer)?;
    let mut text = SecretBytes::new(vec![0; length.0]);
    let mut rest = text.expose_mut();
    serde_json::to_writer_pretty(&mut rest, answer)?;
    rest.write_all(b"\n").map_err(serde_json::Error::io)?;
    Ok(text)
}

/// Counts what is written to it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sources(asked: &Decrypt, environment: Environment) -> Sources {
    // An RSA key opens OpenPGP entries, too, where it is given as one.
    let (rsa, other) = asked.ssh_keys.iter().cloned().partition(|path: &PathBuf| is_rsa(path));
    let mut sources = Sources {
        age_ssh_key_paths: other,
        ssh_key_paths: rsa,
        age_key_file: asked.key_file.clone(),
        environment: environment.keys,
        may_ask: true,
        ..Sources::default()
    };
    // What is not there by default is not worth a note.
    if survey::is_root() {
        for path in HOST_KEYS.map(PathBuf::from) {
            if is_rsa(&path) {
                sources.ssh_key_paths.push(path);
            } else {
                sources.user_ssh_keys.push(path);
            }
        }
    } else {
        sources.user_key_files.extend(environment.config_home.map(|dir| dir.join("sops/age/keys.txt")));
        let keys = |home: PathBuf| ["id_ed25519", "id_rsa"].map(|name| home.join(".ssh").join(name));
        sources.user_ssh_keys.extend(environment.home.into_iter().flat_map(keys));
    }
    sources
}

/// A key that cannot be read is none, here: the keyring tells why.
fn is_rsa(path: &Path) -> bool {
    let Ok(text) = read_regular(path, KEY_LIMIT) else { return false };
    public::show(text.expose()).iter().any(|shown| shown.key.as_ref().is_ok_and(|key| key.kind == Kind::Rsa))
}
