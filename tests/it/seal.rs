//! Seals documents as sops does, under a data key that everybody knows, and opens them step by step with typed
//! errors.
//!
//! Nothing of the program is used to seal; what is tested here does not make its own input.

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadInPlace as _, AesGcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};
use sops_activate::secret::SecretBytes;
use sops_activate::sops::data_key::{self, RecoverError, Refusal, Stanza, Unwrap};
use sops_activate::sops::document::{Document, OpenError, Opened, ParseError};
use sops_activate::sops::format::{EmitError, Format};
use sops_activate::sops::key_path::KeyPath;

/// The bytes 00 to 1f, which the crafted vectors use as well.
pub const DATA_KEY: [u8; 32] = {
    let mut key = [0; 32];
    let mut byte = 0;
    while byte < 32 {
        key[byte as usize] = byte;
        byte += 1;
    }
    key
};

/// The `lastmodified` of every document that does not say otherwise.
pub const LAST_MODIFIED: &str = "2024-01-02T03:04:05Z";

/// What hashing starts with in a document with `mac_only_encrypted`.
pub fn mac_only_encrypted_marker() -> Vec<u8> {
    Sha256::digest("sops").to_vec()
}

/// The `ENC[…]` text of a value whose path, each key followed by a colon, is `aad`.
pub fn value(aad: &str, kind: &str, plain: impl AsRef<[u8]>) -> String {
    seal(&DATA_KEY, aad, kind, plain.as_ref())
}

/// A string at `aad`.
pub fn string(aad: &str, plain: impl AsRef<[u8]>) -> String {
    value(aad, "str", plain)
}

/// The MAC of a document whose values hash to `hashed`, last modified at [`LAST_MODIFIED`].
pub fn mac(hashed: impl AsRef<[u8]>) -> String {
    mac_at(LAST_MODIFIED, hashed)
}

pub fn mac_at(last_modified: &str, hashed: impl AsRef<[u8]>) -> String {
    value(last_modified, "str", format!("{:X}", Sha512::digest(hashed.as_ref())))
}

pub fn seal(key: &[u8; 32], aad: &str, kind: &str, plain: &[u8]) -> String {
    // The same text for the same value; a nonce that repeats gives nothing away when the key is public.
    let nonce = Sha256::new().chain_update(aad).chain_update([0]).chain_update(plain).finalize();
    let mut data = plain.to_vec();
    let tag = AesGcm::<Aes256, U32>::new(GenericArray::from_slice(key))
        .encrypt_in_place_detached(&nonce, aad.as_bytes(), &mut data)
        .unwrap();
    let [data, nonce, tag] = [data.as_slice(), &nonce, &tag].map(|bytes| STANDARD.encode(bytes));
    format!("ENC[AES256_GCM,data:{data},iv:{nonce},tag:{tag},type:{kind}]")
}

/// A sops file of any format.
///
/// The fields of its metadata are JSON in YAML, JSON and binary files; in dotenv and INI files they are flat, and
/// their values raw text.
pub struct File {
    pub format: Format,
    body: String,
    fields: Vec<(String, String)>,
}

impl File {
    /// `body` is everything but the metadata; in JSON the entries of the root object without its braces. `hashed`
    /// is what the MAC covers.
    pub fn new(format: Format, body: impl Into<String>, hashed: impl AsRef<[u8]>) -> Self {
        let file = Self { format, body: body.into(), fields: Vec::new() };
        let file = if file.is_flat() {
            file.field("age__list_0__map_recipient", "age1test").field("age__list_0__map_enc", ours())
        } else {
            file.field("age", format!("[{}]", entry("age1test", &ours())))
        };
        let file = file.text_field("version", "3.9.0").text_field("lastmodified", LAST_MODIFIED);
        file.text_field("mac", &mac(hashed))
    }

    pub fn yaml(body: impl Into<String>, hashed: impl AsRef<[u8]>) -> Self {
        Self::new(Format::Yaml, body, hashed)
    }

    pub fn json(body: impl Into<String>, hashed: impl AsRef<[u8]>) -> Self {
        Self::new(Format::Json, body, hashed)
    }

    fn is_flat(&self) -> bool {
        matches!(self.format, Format::Dotenv | Format::Ini)
    }

    /// Adds a field to the metadata, or replaces it.
    pub fn field(mut self, name: &str, text: impl Into<String>) -> Self {
        self.fields.retain(|(other, _)| other != name);
        self.fields.push((name.to_owned(), text.into()));
        self
    }

    /// A field that holds a string, which is put in quotes where the format has them.
    pub fn text_field(self, name: &str, text: &str) -> Self {
        let quoted = if self.is_flat() { text.to_owned() } else { serde_json::to_string(text).unwrap() };
        self.field(name, quoted)
    }

    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(other, _)| other != name);
        self
    }

    pub fn metadata(&self) -> String {
        let flat = |prefix, mark: &str| {
            let lines = self.fields.iter().map(|(name, text)| format!("{prefix}{name}{mark}{text}\n"));
            lines.collect::<Vec<_>>().concat()
        };
        match self.format {
            Format::Dotenv => flat("sops_", "="),
            Format::Ini => format!("[sops]\n{}", flat("", " = ")),
            _ => {
                let fields: Vec<String> =
                    self.fields.iter().map(|(name, text)| format!("\"{name}\": {text}")).collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }

    pub fn text(&self) -> String {
        let (body, metadata) = (&self.body, self.metadata());
        match self.format {
            Format::Dotenv | Format::Ini => format!("{body}{metadata}"),
            Format::Yaml => format!("{body}sops: {metadata}\n"),
            Format::Json | Format::Binary if body.is_empty() => format!("{{\"sops\": {metadata}}}\n"),
            Format::Json | Format::Binary => format!("{{{body}, \"sops\": {metadata}}}\n"),
        }
    }

    pub fn parse(&self) -> Result<Document<sops_activate::sops::document::Sealed>, ParseError> {
        Document::parse(self.format, SecretBytes::from(self.text().as_bytes()))
    }

    pub fn open(&self) -> Result<Document<Opened>, Refused> {
        open(self.format, self.text().as_bytes(), &Public)
    }

    /// What `sops decrypt` would print.
    pub fn decrypt(&self) -> Result<String, Refused> {
        decrypt(self.format, self.text().as_bytes(), &Public).map(lossless)
    }

    /// What is installed of the value at `key`.
    pub fn pick(&self, key: &str) -> Result<String, String> {
        let document = self.open().map_err(|refused| format!("{refused:?}"))?;
        document
            .pick(&KeyPath::new(key))
            .map(|plain| lossless(plain.expose().to_vec()))
            .map_err(|error| error.to_string())
    }
}

/// An entry of a key list.
pub fn entry(recipient: &str, enc: &str) -> String {
    format!(r#"{{"recipient": "{recipient}", "enc": "{enc}"}}"#)
}

/// The `enc` that [`Public`] opens to [`DATA_KEY`].
pub fn ours() -> String {
    wrapped(&DATA_KEY)
}

/// An `enc` that [`Public`] opens to `bytes`.
pub fn wrapped(bytes: &[u8]) -> String {
    format!("open:{}", STANDARD.encode(bytes))
}

/// A keyring for which stanzas hold their key in the clear.
pub struct Public;

impl Unwrap for Public {
    fn names(&self, _: &Stanza) -> bool {
        false
    }

    fn unwrap(&self, stanza: &Stanza) -> Result<SecretBytes, Refusal> {
        match stanza.enc.strip_prefix("open:").map(|bytes| STANDARD.decode(bytes)) {
            Some(Ok(bytes)) => Ok(SecretBytes::new(bytes)),
            Some(Err(_)) => Err(Refusal::Broken("not base64".to_owned())),
            None => Err(Refusal::NotOurs),
        }
    }
}

/// Why a file does not give its plaintext, whatever the step.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    Parse(ParseError),
    Recover(RecoverError),
    Open(OpenError),
    Emit(EmitError),
}

impl Refused {
    /// What the administrator reads.
    pub fn message(&self) -> String {
        match self {
            Self::Parse(error) => error.to_string(),
            Self::Recover(error) => error.to_string(),
            Self::Open(error) => error.to_string(),
            Self::Emit(error) => error.to_string(),
        }
    }
}

pub fn open(format: Format, source: &[u8], keyring: &dyn Unwrap) -> Result<Document<Opened>, Refused> {
    let document = Document::parse(format, SecretBytes::from(source)).map_err(Refused::Parse)?;
    let metadata = document.metadata();
    let key = data_key::recover(&metadata.groups, metadata.threshold, keyring).map_err(Refused::Recover)?;
    document.open(key).map_err(Refused::Open)
}

pub fn decrypt(format: Format, source: &[u8], keyring: &dyn Unwrap) -> Result<Vec<u8>, Refused> {
    let document = open(format, source, keyring)?;
    let plain = document.emit().map_err(Refused::Emit)?;
    Ok(plain.expose().to_vec())
}

/// Text of bytes that a test compares; bytes that are not UTF-8 become escapes, so that none is hidden.
pub fn lossless(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string())
}
