//! Opens an age file: the armor, the header with its stanzas, and a short payload.
//!
//! The format is the age crate's work; the identities and the words for what went wrong are ours (the crate's texts
//! are localised and carry invisible marks, so they are never shown).

use std::cell::RefCell;
use std::io::{self, Read};
use std::slice;

use age::armor::ArmoredReader;
use age::{DecryptError, Decryptor};
use age_core::format::{FileKey, Stanza};
use zeroize::Zeroizing;

use super::identity::{Identity, STANZA_TYPES};
use super::stanza::Answer;
use crate::secret::SecretBytes;
use crate::sops::data_key::Refusal;

const ARMOR_START: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// The longest armor that is looked at, in bytes. sops writes one recipient into each, which takes 2.5 KiB at most;
/// the age crate's header parser needs quadratic time, a hundredth of a second for a header of this length.
const ARMOR_LIMIT: usize = 16 << 10;

/// The longest payload, in bytes. A data key or a share of it has 33 at most.
const PAYLOAD_LIMIT: usize = 1024;

/// Opens stanzas by other means than the identities here. Says why not, if there is more to say than that none of the
/// stanzas is for it.
pub type Helper<'a> = &'a dyn Fn(&[Stanza]) -> Result<FileKey, Option<String>>;

/// The payload of the armored age file `armor`, opened by the first of `identities` that can, or by the `helper`.
///
/// # Errors
/// Why it does not open; the words never hold content.
pub fn open<'a>(
    armor: &str,
    identities: impl Iterator<Item = &'a Identity> + Clone,
    helper: Option<Helper>,
) -> Result<SecretBytes, Refusal> {
    let file = dearmor(armor)?;
    let decryptor = Decryptor::new_buffered(file.as_slice()).map_err(|error| {
        broken(match error {
            DecryptError::UnknownFormat => "it is of an unknown version of the age format",
            DecryptError::Io(_) => "it is truncated",
            _ => "its age header is malformed",
        })
    })?;
    let attempt = Attempt { identities, helper, findings: RefCell::default() };
    let opened = decryptor.decrypt([&attempt as &dyn age::Identity].into_iter());
    let mut payload = opened.map_err(|error| match error {
        DecryptError::InvalidMac => broken("its header was altered"),
        _ => attempt.findings.take().refusal(),
    })?;
    read_payload(&mut payload)
}

fn broken(reason: &str) -> Refusal {
    Refusal::Broken(reason.into())
}

fn dearmor(armor: &str) -> Result<Vec<u8>, Refusal> {
    if armor.len() > ARMOR_LIMIT {
        return Err(broken("it is longer than any wrapped data key"));
    }
    // The age crate refuses the blank lines that age itself allows.
    let mut rest = armor;
    while let Some((line, after)) = rest.split_once('\n') {
        if !line.trim_ascii().is_empty() {
            break;
        }
        rest = after;
    }
    if rest.trim_ascii().is_empty() {
        return Err(broken("it is empty"));
    }
    if !rest.starts_with(ARMOR_START) {
        return Err(broken("it is not ASCII armored"));
    }
    let mut file = Vec::with_capacity(rest.len());
    match ArmoredReader::new(rest.as_bytes()).read_to_end(&mut file) {
        Ok(_) => Ok(file),
        Err(_) => Err(broken("its ASCII armor is malformed")),
    }
}

/// What is inside, read to its end.
pub fn read_payload(payload: &mut impl Read) -> Result<SecretBytes, Refusal> {
    let mut buffer = Zeroizing::new([0; PAYLOAD_LIMIT + 1]);
    let mut len = 0;
    // Reading to the very end is what checks the last chunk.
    loop {
        let Some(free @ [_, ..]) = buffer.get_mut(len..) else {
            return Err(broken("what is inside is too long for a data key"));
        };
        match payload.read(free) {
            Ok(0) => return Ok(SecretBytes::from(buffer.get(..len).unwrap_or_default())),
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(broken("what is inside was altered or truncated")),
        }
    }
}

/// All identities at once, shown to the age crate as one: it gives up at the first identity that reports an error,
/// and its errors would not say which stanzas it met.
struct Attempt<'h, I> {
    identities: I,
    helper: Option<Helper<'h>>,
    findings: RefCell<Findings>,
}

/// What was learnt while no stanza opened.
#[derive(Default)]
struct Findings {
    malformed: Option<&'static str>,
    /// The type of a stanza that names an identity here and yet does not open.
    does_not_open: Option<String>,
    /// Some stanza is of a type that can be opened here.
    known_type: bool,
    /// The first type that cannot.
    unknown_type: Option<String>,
    /// Whether there was a helper, and what it said.
    helper: Option<Option<String>>,
}

impl<'a, I: Iterator<Item = &'a Identity> + Clone> Attempt<'_, I> {
    fn file_key(&self, stanzas: &[Stanza]) -> Result<FileKey, Findings> {
        let mut findings = Findings::default();
        for identity in self.identities.clone() {
            for stanza in stanzas {
                match identity.open(stanza) {
                    Answer::Opened(key) => return Ok(key),
                    Answer::NotForMe => {}
                    Answer::DoesNotOpen => findings.does_not_open = Some(stanza.tag.clone()),
                    Answer::Malformed(reason) => {
                        findings.malformed = Some(reason);
                        return Err(findings);
                    }
                }
            }
        }
        if let Some(helper) = self.helper {
            match helper(stanzas) {
                Ok(key) => return Ok(key),
                Err(reason) => findings.helper = Some(reason),
            }
        }
        // Writers add a stanza of a random type now and then, to keep readers tolerant ("grease").
        for stanza in stanzas.iter().filter(|stanza| !stanza.tag.ends_with("-grease")) {
            if STANZA_TYPES.contains(&stanza.tag.as_str()) {
                findings.known_type = true;
            } else if findings.unknown_type.is_none() {
                findings.unknown_type = Some(stanza.tag.clone());
            }
        }
        Err(findings)
    }
}

impl<'a, I: Iterator<Item = &'a Identity> + Clone> age::Identity for Attempt<'_, I> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        match self.file_key(stanzas) {
            Ok(key) => Some(Ok(key)),
            Err(findings) => {
                self.findings.replace(findings);
                None
            }
        }
    }
}

impl Findings {
    fn refusal(self) -> Refusal {
        match self {
            Self { malformed: Some(reason), .. } => broken(reason),
            Self { does_not_open: Some(kind), .. } => {
                broken(&format!("its {kind} stanza names a key that is here, but does not open with it"))
            }
            Self { helper: Some(Some(reason)), .. } => Refusal::Unsupported(reason),
            Self { known_type: false, unknown_type: Some(kind), helper, .. } => {
                unsupported(&kind, helper.is_some())
            }
            _ => Refusal::NotOurs,
        }
    }
}

/// Why no identity here can ever open a stanza of this type.
fn unsupported(kind: &str, with_plugins: bool) -> Refusal {
    // The type is any printable text; the known ones are short.
    let shown: String = kind.chars().take(40).collect();
    Refusal::Unsupported(match kind {
        "scrypt" => "it is protected by a passphrase".into(),
        "ssh-rsa" | "mlkem768x25519" => format!("this build cannot open recipient type '{shown}'"),
        _ if with_plugins => format!("no age plugin identity here opens recipient type '{shown}'"),
        _ => format!("recipient type '{shown}' needs the identity of an age plugin, and none is here"),
    })
}
