//! Where identities come from, and why a source or a line of it could not be used. Holds names, paths and line
//! numbers, never content.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::system::file::{Cause, FileError, Kind};

/// A place that may hold identities: a file, an environment variable (or the command in it), or one line of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    place: Place,
    line: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// With the environment variable that names the file, if one does.
    File(PathBuf, Option<&'static str>),
    Variable(&'static str),
}

impl Source {
    pub(super) fn file(path: &Path) -> Self {
        Self { place: Place::File(path.to_owned(), None), line: None }
    }

    /// The file that an environment variable names; the variable itself where it is empty.
    pub(super) fn file_of_variable(path: &Path, variable: &'static str) -> Self {
        if path.as_os_str().is_empty() {
            return Self::variable(variable);
        }
        Self { place: Place::File(path.to_owned(), Some(variable)), line: None }
    }

    pub(super) fn variable(name: &'static str) -> Self {
        Self { place: Place::Variable(name), line: None }
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path, _) => Some(path),
            Place::Variable(_) => None,
        }
    }

    pub(super) fn is_variable(&self) -> bool {
        matches!(self.place, Place::Variable(_))
    }

    pub(super) fn at_line(&self, line: usize) -> Self {
        Self { place: self.place.clone(), line: Some(line) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path, _) => write!(out, "{}", path.display())?,
            Place::Variable(name) => out.write_str(name)?,
        }
        if let Some(line) = self.line {
            write!(out, " line {line}")?;
        }
        match self.place {
            Place::File(_, Some(variable)) => write!(out, " ({variable})"),
            _ => Ok(()),
        }
    }
}

/// Why a source gives no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("not found")]
    NotFound,
    #[error("permission denied")]
    PermissionDenied,
    #[error("it is a directory")]
    Directory,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("it is empty")]
    Empty,

    #[error("it is encrypted with a passphrase")]
    EncryptedKey,
    #[error("it is a public key")]
    PublicKey,
    /// The article and the name of the algorithm.
    #[error("it is {0} key; only Ed25519 and RSA keys can be used")]
    WrongAlgorithm(&'static str),
    #[error("it is an Ed25519 key; only RSA keys are used from here")]
    NotRsa,
    #[error("it is an RSA key, which this build cannot use")]
    RsaUnsupported,
    #[error("it is an age identity file, not an ssh key")]
    AgeIdentityFile,
    #[error("there is no private key in it")]
    NoPrivateKey,
    #[error("its private key is malformed")]
    MalformedKey,

    #[error("it is protected by a passphrase")]
    EncryptedIdentities,
    #[error("it is an ssh key, not an age identity file")]
    SshKey,
    #[error("there is no age identity in it")]
    NoIdentity,
    #[error("it is not an age identity")]
    NotAnIdentity,
    #[error("it is an age recipient, not an identity")]
    Recipient,
    #[error("it is a malformed age identity")]
    MalformedIdentity,
    #[error("it is an age plugin identity, which this build cannot use")]
    PluginUnsupported,
    #[error("it is a post-quantum identity, which this build cannot use")]
    PostQuantumUnsupported,
    #[error("{0} more lines cannot be used")]
    MoreLines(usize),

    /// Why a command printed no keys.
    #[error("{0}")]
    Command(String),
}

impl From<FileError> for Unusable {
    fn from(error: FileError) -> Self {
        match (error.errno(), error.cause) {
            (Some(libc::ENOENT), _) => Self::NotFound,
            (Some(libc::EACCES | libc::EPERM), _) => Self::PermissionDenied,
            (_, Cause::WrongKind(Kind::Directory, _)) => Self::Directory,
            (_, cause) => Self::Unreadable(cause.to_string()),
        }
    }
}

/// A source, or a line of one, that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub source: Source,
    pub reason: Unusable,
}

impl fmt::Display for Skipped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.source, self.reason)
    }
}
