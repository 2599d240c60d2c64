//! `decrypt`: one sops file, or one value of it, on standard output.

use std::path::{Path, PathBuf};

use super::{Verdict, print_bytes};
use crate::cli::Environment;
use crate::cli::tool::Decrypt;
use crate::decrypted;
use crate::diagnostic::{Diagnostic, Report};
use crate::keys::public;
use crate::keys::{Keyring, Sources};
use crate::load;
use crate::recipient::public_key::Kind;
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
        return print_bytes(whole.expose());
    };
    let value = document.pick(&KeyPath::new(key)).map_err(|error| {
        let diagnostic = Diagnostic::new(format!("cannot print a value of '{file}': {error}"));
        let diagnostic = match &error {
            PickError::Find(missing) => decrypted::explain_missing(diagnostic, "", missing),
            _ => diagnostic,
        };
        diagnostic.help("name a value with --extract as a secret's `key` does: 'database/password'")
    })?;
    print_bytes(value.expose())
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
